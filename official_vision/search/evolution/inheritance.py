"""Writes the weights that a mutated graph inherits from its parent: a checkpoint under the child's names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from official_vision.architecture.graph import Architecture, Block
from official_vision.training.checkpoints.restore import COUNT_KEY

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_OF_NODE = re.compile(r"model/node_layers/(\d+)/(.*)")
_OF_GATE = re.compile(r"gates/(\d+)/(.*)")
_STRENGTHS = f"fusion/strength_logits{_VALUE}"


def write_inherited(
    checkpoint: str,
    parent: Architecture,
    child: Architecture,
    origin: Mapping[int, int],
    path: str | os.PathLike,
) -> None:
    """Writes the parent's weights under the names that they have in the child.

    A node takes its origin's, a gate and a strength those of the connection between the same nodes;
    strengths of new connections are 0 before the sigmoid, as untrained ones nearly are. Weights whose
    shapes have changed are written as they are: `restore.load_weights` passes them over.

    Args:
      checkpoint: path prefix, of a run that trained the parent.
      parent, child: the graphs.
      origin: the parent's node that each of the child's nodes comes from.
      path: prefix of the checkpoint to write, without an optimizer's state.
    """
    reader = tf.train.load_checkpoint(checkpoint)
    names = sorted(
        name
        for name in reader.get_variable_to_shape_map()
        if name.startswith("model/") and name.endswith(_VALUE) and ".OPTIMIZER_SLOT" not in name
    )
    written = {name: reader.get_tensor(name) for name in names if not _OF_NODE.fullmatch(name)}
    for node, old in origin.items():
        connections = _connections(parent, child, origin, node)
        for name in names:
            match = _OF_NODE.fullmatch(name)
            if not match or int(match[1]) != old:
                continue
            for child_name, value in _renamed(match[2], reader.get_tensor(name), connections):
                written[f"model/node_layers/{node}/{child_name}"] = value
    tf.raw_ops.SaveV2(
        prefix=os.fspath(path),
        tensor_names=list(written),
        shape_and_slices=[""] * len(written),
        tensors=[tf.constant(value) for value in written.values()],
    )


def count_inherited(inherited: str, trained: str) -> int:
    """Returns how many weights of one checkpoint the network of the other started with."""
    shapes = tf.train.load_checkpoint(trained).get_variable_to_shape_map()
    before = tf.train.load_checkpoint(inherited).get_variable_to_shape_map()
    return sum(shapes.get(name) == shape for name, shape in before.items() if name != COUNT_KEY)


def _connections(
    parent: Architecture, child: Architecture, origin: Mapping[int, int], node: int
) -> list[int | None]:
    """Returns, for each input of the child's node, the position of its source among the parent's inputs."""
    new, old = child.nodes[node], parent.nodes[origin[node]]
    if not (isinstance(new, Block) and isinstance(old, Block)):
        return []
    places = {source: place for place, source in enumerate(old.inputs)}
    return [places.get(origin[source]) for source in new.inputs]


def _renamed(
    name: str, value: np.ndarray, connections: list[int | None]
) -> list[tuple[str, np.ndarray]]:
    """Yields a weight of a node, under each of its names in the child."""
    if name == _STRENGTHS:
        strengths = [0.0 if place is None else value[place] for place in connections]
        return [(name, np.asarray(strengths, value.dtype))] if len(strengths) > 1 else []
    gate = _OF_GATE.fullmatch(name)
    if not gate:
        return [(name, value)]
    return [
        (f"gates/{position}/{gate[2]}", value)
        for position, place in enumerate(connections)
        if place == int(gate[1])
    ]
