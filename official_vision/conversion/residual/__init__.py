"""Residual networks of other frameworks, in files of plain tensors."""
