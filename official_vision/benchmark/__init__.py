"""Figures of speed and size, one module per benchmark; tools/benchmark.py runs them by name."""
