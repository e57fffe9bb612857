"""Observation of a run: progress, TensorBoard, records that outlive interruptions, the summary page."""
