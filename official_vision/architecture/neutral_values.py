"""Neutral values of the input streams, which stand in for a stream that is taken away."""

UNLABELLED = 255  # the object id that lights no channel
# The mean grey of natural video (0.45 of 255), no motion, unlabelled pixels.
NEUTRAL = {"rgb": 115, "flow": 0, "objects": UNLABELLED}
