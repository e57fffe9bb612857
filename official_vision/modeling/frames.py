"""Folding time into the batch and out again.

Spatial layers work on [batch * time, height, width, channels]; temporal ones need the axes apart.
Sizes known when the graph is built stay Python numbers, so that XLA and TFLite see static shapes.
"""

from __future__ import annotations

import tensorflow as tf


def sizes(x: tf.Tensor) -> list[int | tf.Tensor]:
    """Returns each axis's size: a Python int where it is known, else a scalar int32 tensor."""
    dynamic = tf.shape(x)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(x.shape)]


def merge_time(x: tf.Tensor) -> tf.Tensor:
    """[batch, time, ...] -> [batch * time, ...]."""
    batch, time, *rest = sizes(x)
    return tf.reshape(x, [batch * time, *rest])


def split_time(x: tf.Tensor, frames: int | tf.Tensor) -> tf.Tensor:
    """[batch * time, ...] -> [batch, time, ...] where time is `frames`."""
    merged, *rest = sizes(x)
    return tf.reshape(x, [merged // frames, frames, *rest])
