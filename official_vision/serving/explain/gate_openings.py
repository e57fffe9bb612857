"""A network's gated connections: their sources, their peers, and how far they open on a clip."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.architecture.graph import Architecture, Stem
from official_vision.architecture.plan import GateSource
from official_vision.modeling.gates import OneShotGate, StaticGate
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.shared_maps import Shared
from official_vision.serving.export.description import Gate


@dataclasses.dataclass(frozen=True)
class GateValues(Gate):
    """A gated connection on a clip.

    Attributes:
      values: float32 [time, channels of the source] in (0, 1).
    """

    values: np.ndarray


def node_names(architecture: Architecture) -> tuple[str, ...]:
    """Returns each node's index with what it is: "0 (rgb)", "9 (level 2)"."""
    return tuple(
        f"{index} ({node.kind if isinstance(node, Stem) else f'level {node.level}'})"
        for index, node in enumerate(architecture.nodes)
    )


def gates_of(model: AssembleNet) -> list[Gate]:
    """Returns every gated connection, in the network's order."""
    gates = []
    for index, block in model.blocks().items():
        strengths = block.fusion.learned_strengths().numpy()
        inputs = model.architecture.nodes[index].inputs
        for (gate, read), source, strength in zip(
            _gates_of_block(model, index), inputs, strengths, strict=False
        ):
            gates.append(Gate(source, index, _peers(gate, read.nodes), float(strength)))
    return gates


def gate_openings(model: AssembleNet, features: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
    """Returns each gate's multipliers in the order of `gates_of`; runs in graphs too.

    Args:
      model: the network.
      features: its streams, as it is fed.

    Returns:
      float32 [batch * time, channels of the source] in (0, 1).
    """
    widths = {str(plan.index): plan.output_channels for plan in model.plan}
    shared = Shared(model.endpoints(features, training=False), widths)
    return [
        tf.cast(gate(shared.averages(*read)), tf.float32)
        for index in model.blocks()
        for gate, read in _gates_of_block(model, index)
    ]


def gate_values(model: AssembleNet, features: Mapping[str, tf.Tensor]) -> list[GateValues]:
    """Returns every gated connection on one clip: `features` have a batch axis of 1."""
    opened = gate_openings(model, features)
    return [with_values(gate, x.numpy()) for gate, x in zip(gates_of(model), opened, strict=True)]


def with_values(gate: Gate, values: np.ndarray) -> GateValues:
    """Joins a connection and its multipliers, [time, channels]."""
    return GateValues(gate.source, gate.target, gate.peers, gate.strength, values)


def _gates_of_block(
    model: AssembleNet, index: int
) -> Iterator[tuple[tf_keras.layers.Layer, GateSource]]:
    """Returns a block's gates, each with the nodes that it reads."""
    read = model.plan[index].gate_sources(model.spec.gate)
    return zip(model.blocks()[index].gates, read, strict=False)


def _peers(
    gate: tf_keras.layers.Layer, read: int | tuple[int, ...]
) -> tuple[tuple[int, float], ...]:
    if isinstance(gate, StaticGate):
        return ()
    if not isinstance(gate, OneShotGate):
        return ((read, 1.0),)
    shares = gate.peer_distribution().numpy()
    order = np.argsort(-shares, kind="stable")
    return tuple((int(read[i]), float(shares[i])) for i in order)
