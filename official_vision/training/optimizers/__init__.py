"""Model Garden's optimizers, made from an OptimizerSpec."""
