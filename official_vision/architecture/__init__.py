"""What a network is: nodes, rules, the zoo, files, costs and drawings. Never imports TensorFlow."""
