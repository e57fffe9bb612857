"""Features of videos: what a network computes of each frame before it classifies."""
