"""Evolution of architectures: valid graphs, mutated step by step, the better ones first."""
