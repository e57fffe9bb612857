"""The computation of a training step: losses, their gradients, and batch statistics."""
