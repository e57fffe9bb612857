"""OptimizerSpec to a Model Garden optimizer."""
