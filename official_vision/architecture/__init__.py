"""What a network is: nodes, validation, the zoo, files, cost and drawings. Never imports TensorFlow."""
