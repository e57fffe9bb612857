"""Figures of speed and size, one module per benchmark; official-vision benchmark runs them by name."""
