"""Pooled maps and spatial averages of nodes, shared by all consumers that need the same one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import tensorflow as tf

from official_vision.modeling.ops.sparse_objects import PresentMap, of_all_classes
from official_vision.modeling.ops.spatial_averages import spatial_average, with_spatial_average


class Shared:
    """Pooled maps and averages of nodes, each computed once, when it is first needed."""

    def __init__(
        self,
        outputs: Mapping[str, tf.Tensor | PresentMap],
        widths: Mapping[str, int],
        averaged: Collection[tuple[int, int]] = (),
        training: bool | None = None,
    ):
        """Args:
        outputs: of nodes that are known, by index, [rows, height, width, channels].
        widths: channels of every node.
        averaged: (node, pooling ratio) of the maps whose average a gate reads.
        training: those maps and their averages share one gradient.
        """
        self._outputs = outputs
        self._widths = widths
        self._averaged = averaged if training else ()
        self._pooled: dict[tuple[int, int], tf.Tensor | PresentMap] = {}
        self._averages: dict[tuple[int, int], tf.Tensor] = {}

    def with_average(
        self, node: int, x: tf.Tensor | PresentMap, ratio: int = 1
    ) -> tf.Tensor | PresentMap:
        """Returns a node's map as its consumers shall use it; `x` is pooled by `ratio` already."""
        if (node, ratio) in self._averaged:
            x, self._averages[node, ratio] = with_spatial_average(x)
        return x

    def pooled(self, node: int, ratio: int) -> tf.Tensor | PresentMap:
        """Returns the node's output, max-pooled by `ratio` in height and width."""
        if ratio == 1:
            return self._outputs[str(node)]
        if (node, ratio) not in self._pooled:
            x = _max_pooled(self._outputs[str(node)], ratio)
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


def _max_pooled(x: tf.Tensor | PresentMap, ratio: int) -> tf.Tensor | PresentMap:
    if isinstance(x, PresentMap):
        return x._replace(lit=_max_pooled(x.lit, ratio))
    return tf.nn.max_pool2d(x, ratio, ratio, "SAME")


def _averaged(x: tf.Tensor | PresentMap, channels: int) -> tf.Tensor:
    if isinstance(x, PresentMap):
        return of_all_classes(spatial_average(x.lit), x.classes, channels)
    return spatial_average(x)
