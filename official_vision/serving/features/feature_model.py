"""One callable for runs and exports: streams of clips become features."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision.config import CONFIG_JSON
from official_vision.errors import UserError
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops import frame_layout
from official_vision.modeling.ops.shared_maps import spatial_average
from official_vision.serving.export.description import (
    HEAD_INPUT,
    Description,
    description_of_run,
    node_name,
)
from official_vision.serving.export.exported_model import load_exported_model
from official_vision.serving.features.options import HEAD, LOGITS
from official_vision.training.clip_scoring import load_trained

Streams = Mapping[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class FeatureModel:
    """A network up to one of its features.

    Attributes:
      description: how videos are fed to it.
      infer: a batch of clips -> the feature of each frame, float32 [batch, time, channels], and of each clip, float32
        [batch, channels].
    """

    description: Description
    infer: Callable[[Streams], tuple[np.ndarray, np.ndarray]]


def load_feature_model(model: str | os.PathLike, of: str, checkpoint: str = "best") -> FeatureModel:
    """Loads a run, or an exported version's SavedModel.

    Args:
      model: a run's folder, or one that export has written.
      of: see FeatureOptions.
      checkpoint: of a run: best, latest or a path prefix.

    Raises:
      UserError: neither lies there, or it lacks the feature or how its videos are prepared.
    """
    if (Path(model) / CONFIG_JSON).is_file():
        return _of_run(model, of, checkpoint)
    return _of_export(model, of)


def features_of_network(
    network: AssembleNet, of: str
) -> Callable[[Streams], tuple[np.ndarray, np.ndarray]]:
    """Returns `FeatureModel.infer` of a network in memory.

    Raises:
      UserError: the network has no such node.
    """
    if of not in (HEAD, LOGITS, *network.node_layers):
        nodes = ", ".join(network.node_layers)
        raise UserError(f"A node must be one of {nodes}. Received: {of}. Name another.")

    # Shapes are relaxed after the first window: a short video's is shorter.
    @tf.function(autograph=False, reduce_retracing=True)
    def compute(clips: Streams) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = network.endpoints(clips, training=False)
        frames = frame_layout.sizes(next(iter(clips.values())))[1]
        if of == LOGITS:
            logits = network.classify(outputs, frames, training=False)
            return logits["frame_logits"], logits["logits"]
        average = network.head_input(outputs, False) if of == HEAD else spatial_average(outputs[of])
        by_frame = tf.cast(frame_layout.split_time(average, frames), tf.float32)
        return by_frame, tf.reduce_mean(by_frame, axis=1)

    def infer(clips: Streams) -> tuple[np.ndarray, np.ndarray]:
        by_frame, by_clip = compute(dict(clips))
        return by_frame.numpy(), by_clip.numpy()

    return infer


def _of_run(folder: str | os.PathLike, of: str, checkpoint: str) -> FeatureModel:
    trained = load_trained(folder, checkpoint)
    index = trained.described_index()
    if index is None:
        raise UserError(
            "Features need a run with the preparation settings of its videos. "
            f"Received: {folder}, which has none. Train or fine-tune on prepared data first."
        )
    clip = trained.config.validation_data
    described = description_of_run(index.classes, trained.model.streams, index.settings, clip)
    return FeatureModel(described, features_of_network(trained.model, of))


def _of_export(folder: str | os.PathLike, of: str) -> FeatureModel:
    model = load_exported_model(folder)
    nodes = model.description.feature_nodes
    if of not in (HEAD, LOGITS, *map(str, nodes)):
        has = f"those of nodes {', '.join(map(str, nodes))}" if nodes else "those of no node"
        raise UserError(
            f"A SavedModel has features of its head and of the nodes that its export listed. Received: node {of} of "
            f"{model.path}, which has {has}. Name the run's folder, or export with --feature_node={of}."
        )
    name = HEAD_INPUT if of == HEAD else node_name(of)

    def infer(clips: Streams) -> tuple[np.ndarray, np.ndarray]:
        made = model.features(**clips)
        if of == LOGITS:
            return made["frame_logits"], made["logits"]
        return made[name], made[name].mean(axis=1)

    return FeatureModel(model.description, infer)
