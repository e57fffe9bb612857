"""Checkpoints: writing, finding, restoring and repairing them."""
