"""Convolutions and their kernels' gradients as matrix products, where a CPU is quicker with them.

oneDNN's kernels for gradients slow down where a convolution is wide and its maps are small, and where a temporal
one's taps reach half of a clip. Milliseconds for 32 frames on 2 cores, oneDNN's and ours:

    bfloat16  1x1, 512 to 2048 channels, 4 x 4 10.8, 1.7   temporal, 1024 to 256, 7 x 7  9.8, 3.6
    float32                                     6.7, 5.0                                16.5, 10.9
    bfloat16  3x3, 512 channels, 4 x 4         17.3, 3.2   5 taps 4 frames apart, 32    10.5, 5.3
    float32                                    13.8, 11.6  channels, 56 x 56, 16 frames 33.2, 13.1

A training step of AssembleNet-50 takes a tenth less in bfloat16 by it, in float32 a twentieth.
"""

from __future__ import annotations

import tensorflow as tf

from official_vision.modeling.ops import thresholds
from official_vision.modeling.ops.frame_layout import sizes


def pointwise_by_matrices(x: tf.Tensor, filters: int, stride: int) -> bool:
    """Returns whether `pointwise_product` is quicker than a 1x1 convolution and its input's gradient."""
    return _is_wide(
        x, filters, thresholds.LEAST_BOTH_WAYS if stride == 1 else thresholds.LEAST_STRIDED
    )


def spatial_by_matrices(x: tf.Tensor, filters: int, kernel_size: int, stride: int) -> bool:
    """Returns whether `spatial_kernel_product` is quicker, by a convolution's width and x's dtype.

    In float32 any unstrided 1x1 convolution that widens does: 0.75 to 0.9 of oneDNN's time.
    """
    if kernel_size == 1 and stride > 1:
        return _is_wide(x, filters, thresholds.LEAST_POINTWISE_STRIDED)
    if kernel_size == 1:
        widens = x.dtype == tf.float32 and filters > x.shape[-1]
        return widens or _is_wide(x, filters, thresholds.LEAST_POINTWISE)
    return (kernel_size, stride) == (3, 1) and _is_wide(x, filters, thresholds.LEAST_SPATIAL)


def temporal_by_matrices(x: tf.Tensor, filters: int, kernel_size: int, dilation: int) -> bool:
    """Returns whether `temporal_kernel_product` is quicker, by width and by how far taps reach."""
    reach, frames = dilation * (kernel_size // 2), x.shape[1]
    reaches_far = dilation > 1 and frames is not None and 2 * reach >= frames
    return reaches_far or _is_wide(x, filters, thresholds.LEAST_TEMPORAL)


def _is_wide(x: tf.Tensor, filters: int, least: dict[str, int]) -> bool:
    minimum = least["float32" if x.dtype == tf.float32 else "narrow"]
    return x.shape[-1] * filters >= minimum


def pointwise_product(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Computes a 1x1 convolution as a product of two matrices.

    Args:
      x: [rows, height, width, channels].
      kernel: [1, 1, channels, filters].
      stride: in height and width.

    Returns:
      [rows, ceil(height / stride), ceil(width / stride), filters].
    """
    seen = decimated(x, stride)
    product = tf.matmul(tf.reshape(seen, [-1, x.shape[-1]]), kernel[0, 0])
    return tf.reshape(product, tf.concat([tf.shape(seen)[:-1], product.shape[-1:]], axis=0))


def spatial_kernel_product(x: tf.Tensor, dy: tf.Tensor, kernel_size: int, stride: int) -> tf.Tensor:
    """Computes the gradient of the kernel of a 1x1 convolution, or of an unstrided 3x3 one.

    Args:
      x: what was convolved, [rows, height, width, channels].
      dy: gradient of the result, [rows, ceil(height / stride), ceil(width / stride), filters].
      kernel_size: 1 or 3.
      stride: in height and width; 1 where the kernel is 3x3.

    Returns:
      [kernel size, kernel size, channels, filters].
    """
    seen = _patches(x) if kernel_size == 3 else decimated(x, stride)
    shape = [kernel_size, kernel_size, x.shape[-1], dy.shape[-1]]
    return tf.reshape(_product(seen, dy), shape)


def temporal_kernel_product(
    x: tf.Tensor, dy: tf.Tensor, kernel_size: int, dilation: int
) -> tf.Tensor:
    """Computes the gradient of the kernel of a SAME convolution over time.

    Args:
      x: what was convolved, [batch, time, pixels, channels].
      dy: gradient of the result, [batch, time, pixels, filters].
      kernel_size: frames that an output frame sees; odd.
      dilation: step between them.

    Returns:
      [kernel size, 1, channels, filters].
    """
    clips, pixels = _clips(x, dy), sizes(x)[-2]
    taps = []
    for position in range(kernel_size):
        step = dilation * (position - kernel_size // 2)
        products = [_product(*_partners(*clip, step, pixels)) for clip in clips]
        taps.append(tf.add_n(products))
    return tf.stack(taps)[:, tf.newaxis]


def _clips(x: tf.Tensor, dy: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Reshapes few clips to [time * pixels, ...] each, whose parts are views; more to [batch, time * pixels, ...]."""
    clips, frames, pixels, _ = sizes(x)
    flat = [tf.reshape(tensor, [clips, frames * pixels, tensor.shape[-1]]) for tensor in (x, dy)]
    if not isinstance(clips, int) or clips > thresholds.MOST_CLIPS_APART:
        return [tuple(flat)]
    return list(zip(*map(tf.unstack, flat), strict=True))


def _partners(
    x: tf.Tensor, dy: tf.Tensor, step: int, pixels: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the frames of both for which y[t] reads x[t + step], each of so many pixels."""
    if not step:
        return x, dy
    rows, apart = sizes(x)[-2], abs(step) * pixels
    apart = min(apart, rows) if isinstance(rows, int) else tf.minimum(apart, rows)
    later, earlier = slice(apart, None), slice(None, rows - apart)
    read, written = (later, earlier) if step > 0 else (earlier, later)
    return x[..., read, :], dy[..., written, :]


def _product(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """Multiplies [..., channels] by [..., filters] to [channels, filters], summed over all other axes."""
    flat = (
        tensor if tensor.shape.rank == 2 else tf.reshape(tensor, [-1, tensor.shape[-1]])
        for tensor in (x, dy)
    )
    return tf.matmul(*flat, transpose_a=True)


def _patches(x: tf.Tensor) -> tf.Tensor:
    """Places each pixel's 3x3 neighbours side by side: [rows, height, width, 9 * channels]."""
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    shifted = [
        padded[:, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    ]
    return tf.concat(shifted, axis=-1)


def decimated(x: tf.Tensor, stride: int) -> tf.Tensor:
    """Returns x[:, ::stride, ::stride]: the pixels that a strided 1x1 convolution reads.

    TensorFlow's strided slice takes 2.5 ns per number of its input on a CPU, its gradient as much; gathering rows
    and columns a seventh of it. 32 maps of 28 x 28 x 256: 15.8 to 1.9 ms in float32, 16.6 to 1.1 in bfloat16.

    Args:
      x: [rows, height, width, channels].
      stride: in height and width.

    Returns:
      [rows, ceil(height / stride), ceil(width / stride), channels].
    """
    if stride == 1:
        return x
    return _gathered(x, stride)


def _gathered(x: tf.Tensor, stride: int) -> tf.Tensor:
    rows, height, width, channels = sizes(x)

    @tf.custom_gradient
    def forward(x: tf.Tensor) -> tuple:
        kept_rows = tf.gather(x, tf.range(0, height, stride), axis=1)
        y = tf.gather(kept_rows, tf.range(0, width, stride), axis=2)

        def backward(dy: tf.Tensor) -> tf.Tensor:
            _, kept_height, kept_width, _ = sizes(dy)
            after = [0, stride - 1]
            apart = tf.pad(
                dy[:, :, tf.newaxis, :, tf.newaxis],
                [[0, 0], [0, 0], after, [0, 0], after, [0, 0]],
            )
            spread = [rows, kept_height * stride, kept_width * stride, channels]
            return tf.reshape(apart, spread)[:, :height, :width]

        return y, backward

    return forward(x)
