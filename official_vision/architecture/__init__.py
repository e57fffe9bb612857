"""Networks as data: nodes, rules, the zoo, files, costs and drawings. Never imports TensorFlow."""
