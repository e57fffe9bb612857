"""Conversion of other programs' weights to networks of this package."""
