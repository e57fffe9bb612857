"""Residual networks of other frameworks, in files that hold tensors alone."""
