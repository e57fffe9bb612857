"""Checkpoints of the authors' code: the Model Garden port's and those of TensorFlow 1."""
