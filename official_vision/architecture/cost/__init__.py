"""Costs of networks: parameters, FLOPs and memory of nodes and connections, from the graph alone."""
