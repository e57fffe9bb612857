"""Where the time of a forward pass or training step goes."""
