"""A run's folder to exported models: SavedModel and TFLite files, checked against the network."""
