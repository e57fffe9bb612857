"""Pooled maps and spatial averages of nodes, shared by all consumers that need the same one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import tensorflow as tf

from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.ops.cpu_kernels.sparse_objects import PresentMap, of_all_classes
from official_vision.modeling.ops.elementwise import sum_of


class Shared:
    """Pooled maps and averages of nodes, each computed once, when it is first needed."""

    def __init__(
        self,
        outputs: Mapping[str, tf.Tensor | PresentMap],
        widths: Mapping[str, int],
        averaged: Collection[tuple[int, int]] = (),
        training: bool | None = None,
        execution: Execution = PLAIN,
    ):
        """Args:
        outputs: of nodes that are known, by index, [rows, height, width, channels].
        widths: channels of every node.
        averaged: (node, pooling ratio) of the maps whose average a gate reads.
        training: with CPU kernels those maps and their averages share one gradient.
        execution: of the network.
        """
        self._outputs = outputs
        self._widths = widths
        self._averaged = averaged if training and execution.cpu_kernels else ()
        self._pooled: dict[tuple[int, int], tf.Tensor | PresentMap] = {}
        self._averages: dict[tuple[int, int], tf.Tensor] = {}

    def with_average(
        self, node: int, x: tf.Tensor | PresentMap, ratio: int = 1
    ) -> tf.Tensor | PresentMap:
        """Returns a node's map in the form that its consumers use; `x` is pooled by `ratio` already."""
        if (node, ratio) in self._averaged:
            x, self._averages[node, ratio] = with_spatial_average(x)
        return x

    def pooled(self, node: int, ratio: int) -> tf.Tensor | PresentMap:
        """Returns the node's output, max-pooled by `ratio` in height and width."""
        if ratio == 1:
            return self._outputs[str(node)]
        if (node, ratio) not in self._pooled:
            x = max_pooled(self._outputs[str(node)], ratio)
            self._pooled[node, ratio] = self.with_average(node, x, ratio)
        return self._pooled[node, ratio]

    def averages(self, nodes: int | tuple[int, ...], ratio: int = 1) -> tf.Tensor | list[tf.Tensor]:
        """Returns the spatial average [rows, channels] of one node's pooled map, or a list for several nodes."""
        if isinstance(nodes, tuple):
            return [self.averages(node, ratio) for node in nodes]
        if (nodes, ratio) not in self._averages:
            x = self.pooled(nodes, ratio)  # in training this may have computed the average, too
            if (nodes, ratio) not in self._averages:
                self._averages[nodes, ratio] = _averaged(x, self._widths[str(nodes)])
        return self._averages[nodes, ratio]


def max_pooled(x: tf.Tensor | PresentMap, ratio: int) -> tf.Tensor | PresentMap:
    """Max-pools maps [rows, height, width, channels] by `ratio` in height and width; sizes round up."""
    if isinstance(x, PresentMap):
        return x._replace(lit=max_pooled(x.lit, ratio))
    return tf.nn.max_pool2d(x, ratio, ratio, "SAME")


def _averaged(x: tf.Tensor | PresentMap, channels: int) -> tf.Tensor:
    if isinstance(x, PresentMap):
        return of_all_classes(spatial_average(x.lit), x.classes, channels)
    return spatial_average(x)


def spatial_average(x: tf.Tensor) -> tf.Tensor:
    """Averages [rows, height, width, channels] over space to [rows, channels]."""
    return tf.reduce_mean(x, axis=[1, 2])


def mean_of_averages(maps: Sequence[tf.Tensor], execution: Execution) -> tf.Tensor:
    """Returns the mean over maps of their spatial averages: each map counts the same, whatever its size.

    Args:
      maps: one or more, [rows, height, width, channels]; height and width may differ from map to map.
      execution: of the network.

    Returns:
      [rows, channels].
    """
    averages = [spatial_average(x) for x in maps]
    return averages[0] if len(averages) == 1 else sum_of(averages, execution) / len(averages)


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

    Users of the first result in place of x get the average's gradient by one addition; TensorFlow's gradient
    is tiled, divided and summed in three passes over a map: a hundredth of a step of AssembleNet-50.

    Args:
      x: [rows, height, width, channels].
    """
    height, width = tf.shape(x)[1], tf.shape(x)[2]

    def backward(dx: tf.Tensor, daverage: tf.Tensor) -> tf.Tensor:
        share = daverage / tf.cast(height * width, daverage.dtype)
        return dx + share[:, tf.newaxis, tf.newaxis]

    return (tf.identity(x), spatial_average(x)), backward
