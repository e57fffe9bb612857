"""Convolutions and their kernels' gradients as matrix products, where a CPU is quicker with them.

oneDNN's own kernels for gradients slow down where a convolution is wide and its maps are small, and where a temporal
one's taps reach half of a clip. Milliseconds for 32 frames on 2 cores, oneDNN's and ours:

    bfloat16  1x1, 512 to 2048 channels, 4 x 4 10.8, 1.7   temporal, 1024 to 256, 7 x 7  9.8, 3.6
    float32                                     6.7, 5.0                                16.5, 10.9
    bfloat16  3x3, 512 channels, 4 x 4         17.3, 3.2   5 taps 4 frames apart, 32    10.5, 5.3
    float32                                    13.8, 11.6  channels, 56 x 56, 16 frames 33.2, 13.1

A training step of AssembleNet-50 takes a tenth less in bfloat16 by it, in float32 a twentieth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from official_vision.modeling.ops.decimation import decimated
from official_vision.modeling.ops.frame_layout import sizes
from official_vision.modeling.ops.target_device import has_dilated_gradients, on_cpu

# A tap's product of every clip by itself takes 0.85 of the time of one of all clips, whose frames are copied.
_MOST_CLIPS_APART = 4
# Products of input and output channels from which matrix products are quicker: float32, narrower types.
_LEAST_POINTWISE = {"float32": 2**20, "narrow": 2**12}
_LEAST_TEMPORAL = {"float32": 2**14, "narrow": 2**17}
_LEAST_SPATIAL = {"float32": 2**18, "narrow": 2**16}
# The same for 1x1 convolutions themselves and their inputs' gradients: 0.7 of oneDNN's time on maps of 4 x 4,
# 0.9 on 7 x 7. Half as wide they are slower on 14 x 14.
_LEAST_BOTH_WAYS = {"float32": 2**20, "narrow": 2**20}
_LEAST_POINTWISE_STRIDED = {"float32": 2**18, "narrow": 2**12}
# Strided, from 14 x 14 of 512 channels to 1024: 33.6 to 24.4 ms both ways in float32, 6.1 to 5.1 in bfloat16.
_LEAST_STRIDED = {"float32": 2**17, "narrow": 2**19}


def pointwise_by_matrices(x: tf.Tensor, filters: int, stride: int) -> bool:
    """Whether `pointwise_product` is quicker than a 1x1 convolution and its input's gradient."""
    return _is_wide(x, filters, _LEAST_BOTH_WAYS if stride == 1 else _LEAST_STRIDED)


def spatial_by_matrices(x: tf.Tensor, filters: int, kernel_size: int, stride: int) -> bool:
    """Whether `spatial_kernel_gradient` multiplies matrices, by a convolution's width and x's dtype.

    In float32 any unstrided 1x1 convolution that widens does: 0.75 to 0.9 of oneDNN's time.
    """
    if kernel_size == 1 and stride > 1:
        return _is_wide(x, filters, _LEAST_POINTWISE_STRIDED)
    if kernel_size == 1:
        widens = x.dtype == tf.float32 and filters > x.shape[-1] and on_cpu()
        return widens or _is_wide(x, filters, _LEAST_POINTWISE)
    return (kernel_size, stride) == (3, 1) and _is_wide(x, filters, _LEAST_SPATIAL)


def temporal_by_matrices(x: tf.Tensor, filters: int, kernel_size: int, dilation: int) -> bool:
    """Whether `temporal_kernel_gradient` does, by the same and by how far the kernel reaches."""
    reach, frames = dilation * (kernel_size // 2), x.shape[1]
    reaches_far = dilation > 1 and frames is not None and 2 * reach >= frames
    if dilation > 1 and not has_dilated_gradients(x.dtype):
        return True
    return (reaches_far and on_cpu()) or _is_wide(x, filters, _LEAST_TEMPORAL)


def _is_wide(x: tf.Tensor, filters: int, least: dict[str, int]) -> bool:
    own = least["float32" if x.dtype == tf.float32 else "narrow"]
    return x.shape[-1] * filters >= own and on_cpu()


def pointwise_product(x: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """A 1x1 convolution as a product of two matrices.

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


def spatial_kernel_gradient(
    x: tf.Tensor,
    dy: tf.Tensor,
    kernel_size: int,
    stride: int,
    padding_attributes: Mapping[str, Any],
) -> tf.Tensor:
    """Computes the gradient of the kernel of a convolution in height and width.

    Args:
      x: what was convolved, [rows, height, width, channels].
      dy: gradient of the result, [rows, ceil(height / stride), ceil(width / stride), filters].
      kernel_size: of a square kernel; odd.
      stride: in height and width.
      padding_attributes: of the convolution, see `SpatialConvolution.padding_attributes`.

    Returns:
      [kernel size, kernel size, channels, filters].
    """
    channels, filters = x.shape[-1], dy.shape[-1]
    shape = [kernel_size, kernel_size, channels, filters]
    if spatial_by_matrices(x, filters, kernel_size, stride):
        seen = _patches(x) if kernel_size == 3 else decimated(x, stride)
        return tf.reshape(_product(seen, dy), shape)
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x,
        filter_sizes=shape,
        out_backprop=dy,
        strides=[1, stride, stride, 1],
        **padding_attributes,
    )


def temporal_kernel_gradient(
    x: tf.Tensor, dy: tf.Tensor, kernel_size: int, dilation: int
) -> tf.Tensor:
    """Of a SAME convolution over time.

    Args:
      x: what was convolved, [batch, time, pixels, channels].
      dy: gradient of the result, [batch, time, pixels, filters].
      kernel_size: frames that an output frame sees; odd.
      dilation: step between them.

    Returns:
      [kernel size, 1, channels, filters].
    """
    channels, filters = x.shape[-1], dy.shape[-1]
    if not temporal_by_matrices(x, filters, kernel_size, dilation):
        return tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=[kernel_size, 1, channels, filters],
            out_backprop=dy,
            strides=[1, 1, 1, 1],
            padding="SAME",
            dilations=[1, dilation, 1, 1],
        )
    clips, pixels = _clips(x, dy), sizes(x)[-2]
    taps = []
    for position in range(kernel_size):
        step = dilation * (position - kernel_size // 2)
        products = [_product(*_partners(*clip, step, pixels)) for clip in clips]
        taps.append(tf.add_n(products))
    return tf.stack(taps)[:, tf.newaxis]


def _clips(x: tf.Tensor, dy: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Few clips one by one, [time * pixels, ...]: parts are views of memory; more [batch, time * pixels, ...]."""
    clips, frames, pixels, _ = sizes(x)
    flat = [tf.reshape(own, [clips, frames * pixels, own.shape[-1]]) for own in (x, dy)]
    if not isinstance(clips, int) or clips > _MOST_CLIPS_APART:
        return [tuple(flat)]
    return list(zip(*map(tf.unstack, flat), strict=True))


def _partners(
    x: tf.Tensor, dy: tf.Tensor, step: int, pixels: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """y[t] reads x[t + step]: the frames of both that have a partner, each of so many pixels."""
    if not step:
        return x, dy
    rows, apart = sizes(x)[-2], abs(step) * pixels
    apart = min(apart, rows) if isinstance(rows, int) else tf.minimum(apart, rows)
    later, earlier = slice(apart, None), slice(None, rows - apart)
    read, written = (later, earlier) if step > 0 else (earlier, later)
    return x[..., read, :], dy[..., written, :]


def _product(x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """[..., channels] and [..., filters] -> [channels, filters], summed over all else."""
    flat = (own if own.shape.rank == 2 else tf.reshape(own, [-1, own.shape[-1]]) for own in (x, dy))
    return tf.matmul(*flat, transpose_a=True)


def _patches(x: tf.Tensor) -> tf.Tensor:
    """Each pixel's 3x3 neighbours side by side: [rows, height, width, 9 * channels]."""
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    shifted = [
        padded[:, row : row + height, column : column + width]
        for row in range(3)
        for column in range(3)
    ]
    return tf.concat(shifted, axis=-1)
