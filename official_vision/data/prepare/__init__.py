"""Preparation: annotated videos to shards, in isolated processes, resumable."""
