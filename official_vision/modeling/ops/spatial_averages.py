"""Spatial averages, and maps whose average is read beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from official_vision.modeling.ops.sums import sum_of


def spatial_average(x: tf.Tensor) -> tf.Tensor:
    """[rows, height, width, channels] -> [rows, channels]."""
    return tf.reduce_mean(x, axis=[1, 2])


def mean_of_averages(maps: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the mean over maps of their spatial averages: each map counts the same, whatever its size.

    Args:
      maps: one or more, [rows, height, width, channels]; height and width may differ from map to map.

    Returns:
      [rows, channels].
    """
    averages = [spatial_average(x) for x in maps]
    return averages[0] if len(averages) == 1 else sum_of(averages) / len(averages)


def as_one_map(
    maps: Sequence[tf.Tensor], layers: Callable[[tf.Tensor], tf.Tensor]
) -> list[tf.Tensor]:
    """Applies layers that mix no positions to several maps at once, as if they were one.

    A batch norm among the layers then takes its statistics over all maps together: those that it
    normalises by in training are those whose moving averages it uses at inference.

    Args:
      maps: [rows, height, width, channels]; height and width may differ from map to map.
      layers: a function from a map to one of the same height and width.

    Returns:
      The result of each map; of several, with positions in a row: [rows, height * width, 1, channels].
    """
    if len(maps) == 1:
        return [layers(maps[0])]
    rows = [tf.reshape(x, [tf.shape(x)[0], -1, 1, x.shape[-1]]) for x in maps]
    lengths = [tf.shape(x)[1] for x in rows]
    return tf.split(layers(tf.concat(rows, axis=1)), lengths, axis=1, num=len(maps))


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
