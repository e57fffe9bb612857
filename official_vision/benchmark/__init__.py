"""Figures of speed and size, one module a benchmark; tools/benchmark.py runs them by name."""
