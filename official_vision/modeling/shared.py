"""What several consumers need of a node: its pooled map, its spatial average."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import tensorflow as tf

from official_vision.modeling.averages import spatial_average, with_spatial_average
from official_vision.modeling.present_classes import PresentMap, of_all_classes


class Shared:
    """What consumers need of nodes, computed when first asked for and then kept."""

    def __init__(
        self,
        outputs: Mapping[str, tf.Tensor | PresentMap],
        widths: Mapping[str, int],
        averaged: Collection[int],
    ):
        """Args:
        outputs: of nodes that are known, by index, [rows, height, width, channels].
        widths: channels of every node.
        averaged: nodes whose average a gate reads.
        """
        self._outputs = outputs
        self._widths = widths
        self._averaged = averaged
        self._pooled: dict[tuple[int, int], tf.Tensor | PresentMap] = {}
        self._averages: dict[int, tf.Tensor] = {}

    def kept(
        self, node: int, output: tf.Tensor | PresentMap, training: bool | None
    ) -> tf.Tensor | PresentMap:
        """A node's output as its consumers shall use it."""
        if training and node in self._averaged:
            output, self._averages[node] = with_spatial_average(output)
        return output

    def pooled(self, node: int, ratio: int) -> tf.Tensor | PresentMap:
        """The node's output, max-pooled by `ratio` in height and width."""
        x = self._outputs[str(node)]
        if ratio == 1:
            return x
        if (node, ratio) not in self._pooled:
            self._pooled[node, ratio] = _max_pooled(x, ratio)
        return self._pooled[node, ratio]

    def averages(self, nodes: int | tuple[int, ...]) -> tf.Tensor | list[tf.Tensor]:
        """One node's spatial average [rows, channels], or one for each of several nodes."""
        if isinstance(nodes, tuple):
            return [self.averages(node) for node in nodes]
        if nodes not in self._averages:
            name = str(nodes)
            self._averages[nodes] = _averaged(self._outputs[name], self._widths[name])
        return self._averages[nodes]


def _max_pooled(x: tf.Tensor | PresentMap, ratio: int) -> tf.Tensor | PresentMap:
    if isinstance(x, PresentMap):
        return x._replace(lit=_max_pooled(x.lit, ratio))
    return tf.nn.max_pool2d(x, ratio, ratio, "SAME")


def _averaged(x: tf.Tensor | PresentMap, channels: int) -> tf.Tensor:
    if isinstance(x, PresentMap):
        return of_all_classes(spatial_average(x.lit), x.classes, channels)
    return spatial_average(x)
