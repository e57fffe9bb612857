"""What keeps a run going: stop signals, NaN checks and skipped batches."""
