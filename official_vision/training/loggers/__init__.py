"""Loggers of a run: CSV files, MLflow and Weights & Biases; TensorBoard gets Orbit's summaries."""
