"""Export of a run's folder: SavedModel and TFLite files, checked against the network."""
