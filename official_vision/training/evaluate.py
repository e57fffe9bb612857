"""Evaluating a run's checkpoint: every class beside its base rate, and what each stream is worth."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision import config as configuration
from official_vision.architecture.formats import read_architecture
from official_vision.config import Config
from official_vision.data.damage import damage_named
from official_vision.data.index import Index
from official_vision.data.input import build_dataset, read_index
from official_vision.modeling.builder import build_model
from official_vision.modeling.inputs import blank_stream
from official_vision.modeling.network import AssembleNet
from official_vision.training.metrics import Evaluation, evaluate_scores
from official_vision.training.restore import (
    ARCHITECTURE_FILE,
    find_checkpoint,
    restore_model,
    step_of,
)
from official_vision.training.task import SCORES, pooled, scores_of


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run's network with its weights, and where they came from."""

    config: Config
    model: AssembleNet
    checkpoint: str
    step: int


def load_trained(model_dir: str | os.PathLike, which: str = "best") -> Trained:
    """Builds a run's network and restores a checkpoint of it.

    Args:
      model_dir: the run's folder.
      which: best, latest, or a checkpoint's path prefix.

    Raises:
      UserError: the folder holds no run, or no such checkpoint.
    """
    config = configuration.read(model_dir)
    checkpoint = find_checkpoint(model_dir, which)
    architecture = read_architecture(Path(model_dir) / ARCHITECTURE_FILE)
    model = build_model(config.model, architecture)
    restore_model(model, checkpoint)
    return Trained(config, model, checkpoint, step_of(checkpoint))


def _silently(batches: Iterable, count: int) -> Iterable:
    del count
    return batches


def evaluate(
    trained: Trained,
    *,
    blank_streams: bool = False,
    progress: Callable[[Iterable, int], Iterable] = _silently,
) -> tuple[Evaluation, dict[str, Evaluation]]:
    """Evaluates on the validation split of the run's configuration.

    Args:
      trained: the network.
      blank_streams: evaluate again with each stream blanked.
      progress: wraps the batches, given their number.

    Returns:
      The evaluation, and one for each blanked stream.
    """
    spec = trained.config.validation_data
    streams = trained.model.streams
    index = read_index(spec, streams, trained.config.model.num_classes, "validation")
    batches = build_dataset(spec, index, streams, training=False)
    count = int(batches.cardinality().numpy())
    blanked = streams if blank_streams else ()
    with damage_named(spec.path, index):
        results = {
            name: _evaluate_once(trained, index, progress(batches, max(count, 0)), name)
            for name in ("", *blanked)
        }
    return results.pop(""), results


def _evaluate_once(trained: Trained, index: Index, batches: Iterable, blanked: str) -> Evaluation:
    activation = trained.config.model.activation
    model: tf_keras.Model = trained.model

    @tf.function
    def score(features: dict[str, tf.Tensor]) -> tf.Tensor:
        features = blank_stream(features, blanked) if blanked else features
        return scores_of(model(features, training=False)["logits"], activation)

    gathered: dict[str, list[np.ndarray]] = {name: [] for name in SCORES}
    for features, targets in batches:
        for name, value in {"scores": score(features), **targets}.items():
            gathered[name].append(value.numpy())
    whole = {name: np.concatenate(parts) for name, parts in gathered.items()}
    return evaluate_scores(*pooled(whole), index.classes)


def to_dict(
    trained: Trained, evaluation: Evaluation, blanked: Mapping[str, Evaluation]
) -> dict[str, Any]:
    """Returns all figures as JSON values; NaN, of classes without a positive, as None."""
    return {
        "checkpoint": trained.checkpoint,
        "step": trained.step,
        **_evaluation_to_dict(evaluation),
        "without": {stream: _evaluation_to_dict(result) for stream, result in blanked.items()},
    }


def _evaluation_to_dict(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "videos": evaluation.videos,
        **{name: _finite(value) for name, value in evaluation.figures.items()},
        "classes": [
            {**dataclasses.asdict(row), "average_precision": _finite(row.average_precision)}
            for row in evaluation.classes
        ],
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def to_text(trained: Trained, evaluation: Evaluation, blanked: Mapping[str, Evaluation]) -> str:
    """Returns the table that the command prints."""
    width = max(len(row.name) for row in evaluation.classes)
    lines = [
        f"{trained.checkpoint} (step {trained.step}), {evaluation.videos} videos",
        "",
        f"{'class':<{width}}      AP  base rate  positives",
    ]
    lines += [
        f"{row.name:<{width}}  {row.average_precision:6.3f}  {row.base_rate:9.3f}  {row.positives:9d}"
        for row in evaluation.classes
    ]
    figures = evaluation.figures
    lines += [
        "",
        f"mAP {figures['mAP']:.4f}   top-1 {figures['top_1']:.4f}   top-5 {figures['top_5']:.4f}",
    ]
    if blanked:
        worth = "   ".join(
            f"{stream} {figures['mAP'] - result.figures['mAP']:+.4f}"
            for stream, result in blanked.items()
        )
        lines.append(f"worth of each stream (mAP with it less mAP with it blanked):   {worth}")
    return "\n".join(lines)
