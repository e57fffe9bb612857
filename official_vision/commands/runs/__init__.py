"""Commands that make runs, or read a run's folder."""
