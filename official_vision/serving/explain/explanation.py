"""Explains a network's score of one clip: where it looked, which streams it used, what opened its gates."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from official_vision.architecture.graph import Architecture, Stem
from official_vision.errors import UserError
from official_vision.modeling.inputs import blank_stream
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.serving.explain.gate_openings import GateValues, gate_values, node_names
from official_vision.training.task import scores_of

LEVELS = (0, 1, 2, 3, 4)


@dataclasses.dataclass(frozen=True)
class AttentionMap:
    """A map of where the network looked, for one stream.

    Attributes:
      node: whose activations are weighed.
      streams: kinds of stems that reach that node: rgb, flow, object.
      values: float32 [time, height, width] at the node's resolution, from 0.
    """

    node: int
    streams: tuple[str, ...]
    values: np.ndarray


@dataclasses.dataclass(frozen=True)
class Explanation:
    """One clip's class, explained.

    Attributes:
      label_index: of the class.
      scores: float32 [classes].
      frame_scores: float32 [time, classes].
      drops: by fed stream, how much the class's score falls when the stream is blanked.
      maps: by kind of stem.
      gates: of every gated connection, in the network's order.
      node_names: of each node of the network, for people.
    """

    label_index: int
    scores: np.ndarray
    frame_scores: np.ndarray
    drops: Mapping[str, float]
    maps: Mapping[str, AttentionMap]
    gates: Sequence[GateValues]
    node_names: Sequence[str]


def explain(
    model: AssembleNet,
    features: Mapping[str, tf.Tensor],
    level: int = 1,
    label_index: int | None = None,
) -> Explanation:
    """Explains a class of one clip.

    Args:
      model: the network.
      features: its streams, with a batch axis of 1.
      level: of the nodes whose activations are weighed, one of LEVELS; 0 takes the stems themselves.
      label_index: the class; None takes the one with the greatest score.

    Raises:
      UserError: a level that no stream reaches, or a class that there is not.
    """
    activation = model.spec.activation
    outputs = model(features, training=False)
    scores = scores_of(outputs["logits"], activation).numpy()[0]
    if label_index is None:
        label_index = int(scores.argmax())
    if not 0 <= label_index < len(scores):
        raise UserError(
            f"A class must be one of 0 to {len(scores) - 1}. Received: {label_index}. Name another."
        )
    drops = {}
    for stream in model.streams:
        blanked = model(blank_stream(features, stream), training=False)
        drops[stream] = float(
            scores[label_index] - scores_of(blanked["logits"], activation).numpy()[0, label_index]
        )
    return Explanation(
        label_index,
        scores,
        scores_of(outputs["frame_logits"], activation).numpy()[0],
        drops,
        attention_maps(model, features, level, label_index),
        gate_values(model, features),
        node_names(model.architecture),
    )


def attention_maps(
    model: AssembleNet, features: Mapping[str, tf.Tensor], level: int, label_index: int
) -> dict[str, AttentionMap]:
    """Computes Grad-CAM (Selvaraju et al., ICCV 2017, equations 1 and 2) of each kind of stem, frame by frame.

    A stream's node is the last one of the level, among those that the stream and the fewest others
    reach. What is explained is the sum of all frames' logits: under max pooling over time, one frame's
    alone would leave the others without a map.

    Args:
      model, features, level, label_index: as in `explain`.

    Raises:
      UserError: no stream reaches the level.
    """
    nodes = _nodes_of_streams(model, level)
    if not nodes:
        raise UserError(f"A level must hold live nodes. Received: {level}. Take another of 0 to 4.")
    frames = time_axis.sizes(features[model.streams[0]])[1]
    with tf.GradientTape() as tape:
        endpoints = model.endpoints(features, training=False)
        logits = model.classify(endpoints, frames, training=False)["frame_logits"]
        explained = tf.reduce_sum(logits[..., label_index])
    wanted = sorted({node for node, _ in nodes.values()})
    activations = {node: endpoints[str(node)] for node in wanted}
    gradients = tape.gradient(
        explained, activations, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return {
        kind: AttentionMap(
            node,
            reached_by,
            grad_cam(
                tf.cast(activations[node], tf.float32).numpy(),
                tf.cast(gradients[node], tf.float32).numpy(),
            ),
        )
        for kind, (node, reached_by) in nodes.items()
    }


def grad_cam(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Computes relu(sum over channels of (mean gradient over height and width) * activation), frame by frame.

    Args:
      activations, gradients: [time, height, width, channels].

    Returns:
      [time, height, width], from 0.
    """
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * activations).sum(axis=-1), 0)


def _nodes_of_streams(model: AssembleNet, level: int) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Returns, for each kind of stem, its node of the level and the kinds that reach that node."""
    reached = streams_reaching(model.architecture)
    at_level = [
        plan.index
        for plan in model.plan
        if plan.level == level and str(plan.index) in model.node_layers
    ]
    nodes = {}
    for kind in ("rgb", "flow", "object"):
        candidates = [node for node in at_level if kind in reached[node]]
        if candidates:
            node = min(candidates, key=lambda node: (len(reached[node]), -node))
            nodes[kind] = (node, tuple(sorted(reached[node])))
    return nodes


def streams_reaching(architecture: Architecture) -> list[frozenset[str]]:
    """Returns, for each node, the kinds of stems from which connections lead to it."""
    reached: list[frozenset[str]] = []
    for node in architecture.nodes:
        if isinstance(node, Stem):
            reached.append(frozenset([node.kind]))
        else:
            reached.append(frozenset().union(*(reached[source] for source in node.inputs)))
    return reached
