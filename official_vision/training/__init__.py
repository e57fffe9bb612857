"""Training and evaluation with Model Garden's trainer."""
