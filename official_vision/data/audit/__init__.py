"""The audit of a data set: its annotations, its video files and its prepared shards."""
