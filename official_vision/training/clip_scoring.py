"""Scores clips with a run's checkpoint, on one device or several."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from official_vision import config as configuration
from official_vision.config import Config
from official_vision.data.input.pipeline import build_dataset, check_num_classes, read_index
from official_vision.data.storage.damaged_segments import Skipped, damage_named
from official_vision.data.storage.index import Index
from official_vision.data.storage.split_comparison import preparation_differences
from official_vision.errors import UserError
from official_vision.metrics.evaluation import Evaluation
from official_vision.metrics.scores import ClipScores, collect
from official_vision.modeling.inputs import blank_stream
from official_vision.modeling.network import AssembleNet
from official_vision.specs import DataSpec
from official_vision.training.checkpoints.restore import (
    find_checkpoint,
    load_network,
    step_of,
)
from official_vision.training.devices.strategies import make_strategy, shared_batches
from official_vision.training.devices.visible import see_devices
from official_vision.training.run_folder.class_names import check_same_classes, labels_of_run
from official_vision.training.run_folder.recorded_data import (
    RunData,
    check_located,
    located,
    read_run_data,
)
from official_vision.training.task import GATHERED, gather_replicas, inference_logits

_CLIP_SETTINGS = ("path", "views", "crops", "frames", "frame_stride", "size", "label_rule")


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run's network with its weights, their origin, and their devices.

    `labels` are the class names in the run's folder; `data` describes the splits that it was
    trained and validated on, by their names; of converted weights either may be missing.
    """

    config: Config
    model: AssembleNet
    checkpoint: str
    step: int
    strategy: tf.distribute.Strategy
    labels: tuple[str, ...] | None = None
    data: Mapping[str, RunData] = dataclasses.field(default_factory=dict)
    model_dir: str = ""

    def described_index(self) -> Index | None:
        """Returns the data's description in the run's folder: classes, object ids and preparation, but no videos."""
        train = self.data.get("train")
        if train is None or self.labels is None:
            return None
        return dataclasses.replace(train.index, classes=self.labels)

    def validation_index(self) -> Index:
        """Reads the index of the validation split of the configuration.

        Raises:
          UserError: no prepared split is there, or one of other classes or streams.
        """
        spec, numbers = self.config.validation_data, self.config.model
        check_located(spec.path, self.data.get("validation"), self.model_dir)
        index = read_index(spec, self.model.streams, None, "validation")
        check_same_classes(self.labels, index.classes, spec.path)
        if numbers.num_classes is not None:
            check_num_classes(numbers.num_classes, index, spec.path)
        return index

    def unlike(self, index: Index) -> list[str]:
        """Returns a line for each difference between the preparation of these data and of those of training."""
        train = self.data.get("train")
        return list(preparation_differences(train.index, index)) if train else []


def load_trained(
    model_dir: str | os.PathLike,
    which: str = "best",
    strategy: tf.distribute.Strategy | None = None,
    data: str | os.PathLike | None = None,
    train_data: str | os.PathLike | None = None,
) -> Trained:
    """Builds a run's network and restores a checkpoint of it.

    Args:
      model_dir: the run's folder.
      which: best, latest, or a checkpoint's path prefix.
      strategy: of the devices to put it on, e.g. of `devices_of_run`; None for the one that is current.
      data: folder of a prepared split in place of the run's validation data; None looks for those at their
        path from here, else where they lay when the run began.
      train_data: likewise, in place of the run's training data.

    Raises:
      UserError: the folder has no run, or no such checkpoint.
    """
    recorded = read_run_data(model_dir)
    config = _at_hand(configuration.read(model_dir), recorded, data, train_data)
    checkpoint = find_checkpoint(model_dir, which)
    see_devices(config.train)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = load_network(model_dir, config.model, checkpoint)
    labels = labels_of_run(model_dir)
    step = step_of(checkpoint)
    return Trained(config, model, checkpoint, step, strategy, labels, recorded, str(model_dir))


def _at_hand(
    config: Config,
    recorded: Mapping[str, RunData],
    data: str | os.PathLike | None,
    train_data: str | os.PathLike | None,
) -> Config:
    """Returns the settings with the paths of the splits as they are reached from this directory."""

    def at(spec: DataSpec, split: str, named: str | os.PathLike | None) -> DataSpec:
        path = str(Path(named)) if named else located(spec.path, recorded.get(split))
        return dataclasses.replace(spec, path=path)

    return dataclasses.replace(
        config,
        train_data=at(config.train_data, "train", train_data),
        validation_data=at(config.validation_data, "validation", data),
    )


def devices_of_run(
    model_dir: str | os.PathLike, devices: int | str | None = None
) -> tf.distribute.Strategy:
    """Returns a strategy over the devices of this machine that a run's settings name, all in this process.

    Args:
      model_dir: the run's folder.
      devices: as TrainSpec.devices, in place of the run's. Of the run's GPUs those that are here are taken.

    Raises:
      UserError: the folder has no run, or `devices` are not here.
    """
    train = configuration.read(model_dir).train
    wanted = train.devices if devices is None else devices
    train = dataclasses.replace(train, devices=wanted, strategy="auto", tpu="")
    see_devices(train)
    there = len(tf.config.get_visible_devices("GPU"))
    if devices is None and isinstance(wanted, int) and wanted > there:
        train = dataclasses.replace(train, devices="auto")
    return make_strategy(train)


def silently(batches: Iterable, count: int) -> Iterable:
    """Returns the batches as they are: no progress is shown."""
    del count
    return batches


def score_clips(
    trained: Trained,
    *,
    blanked: str = "",
    progress: Callable[[Iterable, int], Iterable] = silently,
) -> ClipScores:
    """Scores every clip and crop of the validation split of the configuration.

    Args:
      trained: the network.
      blanked: a stream to blank; empty for none.
      progress: wraps the batches; it is called with their number.

    Returns:
      The clips' logits, the same for any number of replicas.

    Raises:
      UserError: data that doesn't serve the network, a batch that the replicas can't share, or a
        damaged shard.
    """
    spec = trained.config.validation_data
    streams = trained.model.streams
    index = trained.validation_index()
    for line in _warnings(trained, index):
        logging.warning("%s", line)
    skipped = Skipped(spec.path, index)
    batches = shared_batches(
        trained.strategy,
        lambda context: build_dataset(
            spec, index, streams, training=False, input_context=context, skipped=skipped
        ),
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
        trained.model.spec.activation,
        _provenance(trained, index, blanked),
        trained.data["train"].index.class_counts if "train" in trained.data else (),
    )


def _warnings(trained: Trained, index: Index) -> Iterator[str]:
    """Yields the reasons for which figures of this data are less reliable than they seem.

    Raises:
      UserError: one label per video is judged, and a video has several.
    """
    path, labelling = trained.config.validation_data.path, index.labelling
    for line in trained.unlike(index):
        yield f"{path} was prepared otherwise than the training data: {line}"
    if trained.model.spec.activation != "softmax":
        return
    if labelling.several is not None:
        raise UserError(
            "A network of ModelSpec.activation = 'softmax' is judged by one label per video. Received: "
            f"{path}, in which video {labelling.several!r} has several labels. Leave such videos out."
        )
    if labelling.without is not None:
        yield f"{path}: videos without a label (the first is {labelling.without!r}) count as wrong"


def evaluate_without(
    trained: Trained, progress: Callable[[Iterable, int], Iterable] = silently
) -> dict[str, Evaluation]:
    """Evaluates with each stream blanked: the drop shows the stream's value.

    Args:
      trained: the network; its EvaluationSpec sets how clips are pooled.
      progress: wraps the batches; it is called with their number.

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

    @tf.function(autograph=False)
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
