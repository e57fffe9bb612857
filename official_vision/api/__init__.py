"""Functions of the package's public face, `import official_vision as ov`."""
