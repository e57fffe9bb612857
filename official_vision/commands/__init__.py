"""The sub-commands of `official-vision`, a module each: flags, and the function that does the work."""
