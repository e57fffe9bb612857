"""Every n-th pixel of a map, by copies of whole pixels."""

from __future__ import annotations

import tensorflow as tf

from official_vision.modeling.ops.frame_layout import sizes


def decimated(x: tf.Tensor, stride: int) -> tf.Tensor:
    """Returns x[:, ::stride, ::stride]: what a strided 1x1 convolution sees.

    TensorFlow's strided slice takes 2.5 ns a number of its input on a CPU, its gradient as much; gathering rows
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
        own_rows = tf.gather(x, tf.range(0, height, stride), axis=1)
        y = tf.gather(own_rows, tf.range(0, width, stride), axis=2)

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
