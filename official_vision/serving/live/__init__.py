"""Scores of live video, window by window."""
