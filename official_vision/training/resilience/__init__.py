"""Resilience of a run: stop signals, NaN checks and skipped batches."""
