"""The sizes from which special operations are quicker than TensorFlow's.

All were measured on one machine: 2 cores of a shared CPU with AVX-512 and AMX bfloat16, TensorFlow 2.20 with oneDNN
(docs/performance.md has the figures). On another machine they may be off: results are the same, and time is lost.
Tables by dtype have "float32" and "narrow", which is any narrower type.
"""

from __future__ import annotations

# Products of input and output channels from which a kernel's gradient is quicker as a matrix product: of 1x1
# convolutions, strided ones, temporal ones and 3x3 ones.
LEAST_POINTWISE = {"float32": 2**20, "narrow": 2**12}
LEAST_POINTWISE_STRIDED = {"float32": 2**18, "narrow": 2**12}
LEAST_TEMPORAL = {"float32": 2**14, "narrow": 2**17}
LEAST_SPATIAL = {"float32": 2**18, "narrow": 2**16}
# The same for 1x1 convolutions themselves and their inputs' gradients: 0.7 of oneDNN's time on maps of 4 x 4,
# 0.9 on 7 x 7. Half as wide they are slower on 14 x 14.
LEAST_BOTH_WAYS = {"float32": 2**20, "narrow": 2**20}
# Strided, from 14 x 14 of 512 channels to 1024: 33.6 to 24.4 ms both ways in float32, 6.1 to 5.1 in bfloat16.
LEAST_STRIDED = {"float32": 2**17, "narrow": 2**19}

# A tap's products clip by clip take 0.85 of the time of one product of all clips, whose frames are copied.
MOST_CLIPS_APART = 4

# Pixels of a frame for each channel of a fusion's output, from which a 1x1 convolution's kernel is scaled frame by
# frame in place of its input.
PIXELS_PER_FILTER = 2

# Convolutions of so few pixels and so many channels are those of level 4 at 112 x 112, and in AssembleNet-50 no
# others: rows are halved, so that two cores take them side by side.
FEW_PIXELS = 16
WIDE = 512

# A projection of so few channels is computed again: levels 1 and 2 of AssembleNet-50, 73 MiB of its step's peak for
# .6 % more arithmetic. Those of levels 3 and 4 would be 20 MiB for another 1.4 %.
CHEAP_CHANNELS = 128

# A gate's matrix of so many numbers is read in less time than a dozen operations take to start.
FEW_NUMBERS = 2**19
