"""Recomputes batch norms' statistics of a run that has ended, without training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from official_vision import config as configuration
from official_vision import formats
from official_vision.lock import folder_locked
from official_vision.metrics.figures import without_nan
from official_vision.training.checkpoints.best import INFO_FILE
from official_vision.training.checkpoints.checkpoint_files import full_disk_named, rewrite
from official_vision.training.checkpoints.restore import BEST_FOLDER, COUNT_KEY, statistics_of
from official_vision.training.clip_scoring import (
    Trained,
    devices_of_run,
    load_trained,
    score_clips,
)
from official_vision.training.run_folder.folder import RESULT_FILE
from official_vision.training.run_folder.recorded_data import check_located
from official_vision.training.step.frozen_weights import freeze
from official_vision.training.step.losses import clip_losses
from official_vision.training.step.precise_batch_norm import recompute_on_training_data

# The figures of a checkpoint, in result.json.
_IN_RESULT = {"best": "best", "latest": "figures"}


@dataclasses.dataclass(frozen=True)
class Repaired:
    """A checkpoint whose statistics were recomputed.

    Attributes:
      checkpoint: its path prefix.
      before, after: figures of evaluation, and validation_loss.
    """

    checkpoint: str
    before: Mapping[str, float]
    after: Mapping[str, float]


def repair(
    model_dir: str | os.PathLike,
    which: str,
    batches: int,
    *,
    data: str | os.PathLike | None = None,
    train_data: str | os.PathLike | None = None,
) -> Repaired:
    """Recomputes the statistics of a checkpoint with its weights, and writes them in place of the old ones.

    Nothing else of the checkpoint changes. The figures that the run's folder keeps of it become those of the
    repaired network.

    Args:
      model_dir: the run's folder.
      which: best, latest, or a checkpoint's path prefix.
      batches: of training data, of the run's batch size.
      data, train_data: folders of the validation and training data; None takes the run's.

    Raises:
      UserError: no run, no such checkpoint, data that don't serve it, a run that another process trains, or
        no space.
    """
    configuration.read_record(model_dir)  # before a lock is made where there is no run
    with folder_locked(model_dir, "--model_dir", "repairing"):
        devices = devices_of_run(model_dir)
        trained = load_trained(model_dir, which, devices, data, train_data=train_data)
        return _repaired(trained, which, batches)


def _repaired(trained: Trained, which: str, batches: int) -> Repaired:
    model_dir, path = trained.model_dir, trained.config.train_data.path
    check_located(path, trained.data.get("train"), model_dir, "train", "--train_data")
    freeze(trained.model, trained.config.train.frozen)
    before = _figures(trained)
    recompute_on_training_data(trained.model, trained.config, batches, trained.strategy)
    after = _figures(trained)
    changed = {key: value.numpy() for key, value in statistics_of(trained.model).items()}
    changed[COUNT_KEY] = np.float32(batches)
    with full_disk_named(model_dir):
        rewrite(trained.checkpoint, changed)
        _tell_in_records(Path(model_dir), which, after)
    return Repaired(trained.checkpoint, before, after)


def _figures(trained: Trained) -> dict[str, float]:
    clips = score_clips(trained)
    labels = clips.labels[clips.owner]
    losses = clip_losses(clips.logits, labels, trained.config.model.activation).numpy()
    figures = clips.pooled(trained.config.evaluation).evaluation().figures
    return {**figures, "validation_loss": float(losses.mean())}


def _tell_in_records(model_dir: Path, which: str, figures: Mapping[str, float]) -> None:
    info, result = model_dir / BEST_FOLDER / INFO_FILE, model_dir / RESULT_FILE
    if which == "best" and info.is_file():
        formats.BEST_CHECKPOINT.write(info, _with(formats.BEST_CHECKPOINT.read(info), figures))
    if which in _IN_RESULT and result.is_file():
        name = _IN_RESULT[which]
        record = formats.RESULT.read(result, {name: dict})
        formats.RESULT.write(result, {**record, name: _with(record[name], figures)})


def _with(recorded: Mapping[str, float], figures: Mapping[str, float]) -> dict[str, float]:
    """Returns the recorded figures with the new ones in place of the old."""
    return {
        **recorded,
        **without_nan({name: value for name, value in figures.items() if name in recorded}),
    }
