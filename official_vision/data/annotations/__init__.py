"""Annotations of data sets: which videos there are, in which split, with which labels."""
