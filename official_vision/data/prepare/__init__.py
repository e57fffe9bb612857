"""Preparation of annotated videos as shards, in isolated processes, resumable."""
