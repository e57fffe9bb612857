"""Spatial averages, and maps whose average is read beside them."""

from __future__ import annotations

import tensorflow as tf


def spatial_average(x: tf.Tensor) -> tf.Tensor:
    """[rows, height, width, channels] -> [rows, channels]."""
    return tf.reduce_mean(x, axis=[1, 2])


@tf.custom_gradient
def with_spatial_average(x: tf.Tensor) -> tuple:
    """Returns x itself and its spatial average, for a training step whose gates read the average.

    Who then uses the first result in place of x gets the average's gradient by one addition; TensorFlow's own
    is tiled, divided and summed in three passes over a map: a hundredth of a step of AssembleNet-50.

    Args:
      x: [rows, height, width, channels].
    """
    height, width = tf.shape(x)[1], tf.shape(x)[2]

    def backward(dx: tf.Tensor, daverage: tf.Tensor) -> tf.Tensor:
        share = daverage / tf.cast(height * width, daverage.dtype)
        return dx + share[:, tf.newaxis, tf.newaxis]

    return (tf.identity(x), spatial_average(x)), backward
