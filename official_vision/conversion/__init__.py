"""Weights of other programs: reading their files and fitting them into networks of this package."""
