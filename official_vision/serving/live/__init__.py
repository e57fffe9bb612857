"""Answers on live video, window by window."""
