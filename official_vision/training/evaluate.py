"""Scoring clips with a run's checkpoint, on one device or several."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from official_vision import config as configuration
from official_vision.architecture.formats import read_architecture
from official_vision.config import Config
from official_vision.data.damage import Skipped, damage_named
from official_vision.data.index import Index
from official_vision.data.input import build_dataset, read_index
from official_vision.metrics.evaluation import Evaluation
from official_vision.metrics.scores import ClipScores, collect
from official_vision.modeling.builder import build_model
from official_vision.modeling.inputs import blank_stream
from official_vision.modeling.network import AssembleNet
from official_vision.training.labels import check_same_classes, labels_of_run
from official_vision.training.restore import (
    ARCHITECTURE_FILE,
    find_checkpoint,
    restore_model,
    step_of,
)
from official_vision.training.task import GATHERED, gather_replicas, inference_logits

_CLIP_SETTINGS = ("path", "views", "crops", "frames", "frame_stride", "size", "label_rule")


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run's network with its weights, where they came from, and the devices that hold them.

    `labels` are the class names that the run's folder holds where its weights were converted.
    """

    config: Config
    model: AssembleNet
    checkpoint: str
    step: int
    strategy: tf.distribute.Strategy
    labels: tuple[str, ...] | None = None


def load_trained(
    model_dir: str | os.PathLike,
    which: str = "best",
    strategy: tf.distribute.Strategy | None = None,
) -> Trained:
    """Builds a run's network and restores a checkpoint of it.

    Args:
      model_dir: the run's folder.
      which: best, latest, or a checkpoint's path prefix.
      strategy: of the devices to put it on; None for the one that is current.

    Raises:
      UserError: the folder holds no run, or no such checkpoint.
    """
    config = configuration.read(model_dir)
    checkpoint = find_checkpoint(model_dir, which)
    architecture = read_architecture(Path(model_dir) / ARCHITECTURE_FILE)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = build_model(config.model, architecture)
        restore_model(model, checkpoint)
    labels = labels_of_run(model_dir)
    return Trained(config, model, checkpoint, step_of(checkpoint), strategy, labels)


def all_devices() -> tf.distribute.Strategy:
    """A strategy over all GPUs of this machine; without any, over its logical CPU devices."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _silently(batches: Iterable, count: int) -> Iterable:
    del count
    return batches


def score_clips(
    trained: Trained,
    *,
    blanked: str = "",
    progress: Callable[[Iterable, int], Iterable] = _silently,
) -> ClipScores:
    """Scores every clip and crop of the validation split of the configuration.

    Args:
      trained: the network.
      blanked: a stream to blank; empty for none.
      progress: wraps the batches, given their number.

    Returns:
      The clips' logits, the same for any number of replicas.

    Raises:
      UserError: data that doesn't serve the network, a batch that the replicas can't share, or a
        damaged shard.
    """
    spec = trained.config.validation_data
    streams = trained.model.streams
    index = read_index(spec, streams, trained.config.model.num_classes, "validation")
    check_same_classes(trained.labels, index.classes, spec.path)
    skipped = Skipped(spec.path, index)
    batches = trained.strategy.distribute_datasets_from_function(
        lambda context: build_dataset(
            spec, index, streams, training=False, input_context=context, skipped=skipped
        )
    )
    count = -(-index.num_videos * spec.views * spec.crops // spec.batch_size)
    with damage_named(spec.path, index):
        gathered = _gathered(trained, progress(batches, count), blanked)
    for line in skipped.news():
        logging.warning("%s", line)
    return collect(
        gathered,
        index.videos,
        index.classes,
        trained.config.model.activation,
        _provenance(trained, index, blanked),
    )


def evaluate_without(
    trained: Trained, progress: Callable[[Iterable, int], Iterable] = _silently
) -> dict[str, Evaluation]:
    """Evaluates with each stream blanked: by how much it falls is what the stream is worth.

    Args:
      trained: the network; its EvaluationSpec says how clips are pooled.
      progress: wraps the batches, given their number.

    Returns:
      An evaluation by the name of the stream that was blanked.
    """
    spec = trained.config.evaluation
    return {
        stream: score_clips(trained, blanked=stream, progress=progress).pooled(spec).evaluation()
        for stream in trained.model.streams
    }


def _gathered(trained: Trained, batches: Iterable, blanked: str) -> dict[str, np.ndarray]:
    def score(
        features: dict[str, tf.Tensor], targets: dict[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        features = blank_stream(features, blanked) if blanked else features
        return gather_replicas({"logits": inference_logits(trained.model, features), **targets})

    @tf.function
    def step(batch: tuple) -> dict[str, tf.Tensor]:
        return trained.strategy.run(score, batch)

    gathered: dict[str, list[np.ndarray]] = {name: [] for name in GATHERED}
    for batch in batches:
        for name, value in step(batch).items():
            # Every replica has gathered the rows of all.
            gathered[name].append(trained.strategy.experimental_local_results(value)[0].numpy())
    return {name: np.concatenate(parts) for name, parts in gathered.items()}


def _provenance(trained: Trained, index: Index, blanked: str) -> dict[str, Any]:
    settings = trained.config.validation_data.to_dict()
    return {
        "checkpoint": trained.checkpoint,
        "step": trained.step,
        "split": index.split,
        "data_fingerprint": index.fingerprint,
        "clips": {name: settings[name] for name in _CLIP_SETTINGS},
        "blanked_stream": blanked,
        "versions": configuration.versions(),
    }
