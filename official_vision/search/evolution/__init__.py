"""Evolution of architectures: valid graphs, changed a little, the better ones first."""
