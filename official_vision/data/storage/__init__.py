"""Prepared splits on disk: shards, their frame tables, and the index beside them."""
