"""From annotation files and videos to batches."""
