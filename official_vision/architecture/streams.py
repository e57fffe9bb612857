"""The input streams' values that say nothing, which stand in for a stream that is taken away."""

RGB_MEAN = 0.45  # of values in 0..1: the constants of the Kinetics models of PySlowFast
UNLABELLED = 255  # the object id that lights no channel
# Mid grey, no motion, unlabelled pixels.
NEUTRAL = {"rgb": round(255 * RGB_MEAN), "flow": 0, "objects": UNLABELLED}
