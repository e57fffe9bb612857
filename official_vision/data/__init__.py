"""Annotation files and videos, their shards, and the batches that are read from them."""
