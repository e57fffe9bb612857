"""What a network is: nodes, rules, the zoo, files, cost, drawings. Never imports TensorFlow."""
