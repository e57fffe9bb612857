"""Profiles of a forward pass or training step."""
