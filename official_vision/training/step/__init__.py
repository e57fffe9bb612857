"""What a training step computes: losses, their gradients, and batch statistics."""
