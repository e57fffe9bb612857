"""What a run shows of itself: progress, TensorBoard, records that outlive interruptions, the last page."""
