"""Training steps and forward passes as programs that run without TensorFlow."""
