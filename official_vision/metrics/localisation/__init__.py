"""When actions happen: the scores of a video's frames, and what they are judged by (no TensorFlow)."""
