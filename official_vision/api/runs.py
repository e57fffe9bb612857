"""Runs in Python: train, look at what a run's folder holds, evaluate and export it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from official_vision import config as configuration
from official_vision.config import Config
from official_vision.errors import check_names

if TYPE_CHECKING:
    from official_vision.metrics.evaluation_report import Report
    from official_vision.modeling.network import AssembleNet
    from official_vision.serving.export.version_folder import Exported
    from official_vision.specs import PrepareSpec
    from official_vision.training.run_folder.folder import TrainingResult


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run's folder holds.

    Attributes:
      network: with the weights of the checkpoint.
      labels: names of the classes, in the order of the logits.
      preparation: how the training videos were prepared; None where the folder has none, as of
        converted weights.
      config: every setting of the run.
      checkpoint: path prefix.
      step: at which the checkpoint was written.
      folder: of the run.
      object_classes: names of the object ids; empty where they have none.
    """

    network: AssembleNet
    labels: tuple[str, ...] | None
    preparation: PrepareSpec | None
    config: Config
    checkpoint: str
    step: int
    folder: str
    object_classes: tuple[str, ...] = ()


def load_config(
    gin_files: str | os.PathLike | Sequence[str | os.PathLike] = (),
    bindings: str | Sequence[str] = (),
) -> Config:
    """Reads every setting of an experiment: data, network, training, evaluation and search.

    Examples:
      >>> config = load_config(bindings=["TrainSpec.steps = 100", "ModelSpec.depth = 26"])
      >>> config.train.steps, config.model.depth
      (100, 26)

    Args:
      gin_files: one gin file or several, of which later ones win.
      bindings: single settings, which win over files.

    Raises:
      UserError: a missing file, a misspelt name, or a value that is out of range.
    """
    paths = [gin_files] if isinstance(gin_files, (str, os.PathLike)) else gin_files
    lines = [bindings] if isinstance(bindings, str) else bindings
    return configuration.load([os.fspath(path) for path in paths], list(lines))


def train(config: Config, *, allow_changes: bool = False) -> TrainingResult:
    """Trains a network; called again with the same settings it goes on from the newest checkpoint.

    Args:
      config: of `load_config`; config.train.model_dir names the run's folder.
      allow_changes: goes on also with settings that change what the run's weights mean.

    Returns:
      The step that was reached, the figures of the last evaluation and the best one.

    Raises:
      UserError: data or settings that don't fit each other or the run in the folder.
    """
    from official_vision.training.run import train as train_run

    return train_run(config, allow_changes=allow_changes)


def load_run(folder: str | os.PathLike, checkpoint: str = "best") -> Run:
    """Loads a run's network with its labels, preparation and settings.

    Args:
      folder: TrainSpec.model_dir of training.
      checkpoint: best, latest, or a path prefix.

    Raises:
      UserError: the folder has no run, or no such checkpoint.
    """
    from official_vision.serving.export.description import preparation_of
    from official_vision.training.clip_scoring import load_trained

    trained = load_trained(folder, checkpoint)
    index = trained.described_index()
    return Run(
        trained.model,
        trained.labels,
        None if index is None else preparation_of(index.settings),
        trained.config,
        trained.checkpoint,
        trained.step,
        os.fspath(folder),
        () if index is None else index.object_classes,
    )


def evaluate(
    folder: str | os.PathLike,
    *,
    checkpoint: str = "best",
    data: str | os.PathLike | None = None,
    blank_streams: bool = False,
    localise: bool = False,
) -> Report:
    """Scores a run's network on every video of a prepared split.

    Args:
      folder: of the run.
      checkpoint: as of `load_run`.
      data: folder of a prepared split; None takes the run's validation data.
      blank_streams: evaluates with each stream blanked as well, in `without`.
      localise: scores every frame of whole videos as well, in `localisation`.

    Returns:
      A report; `evaluation` has the figures and classes, `intervals` how far they would move with other
      videos. `official_vision.metrics.evaluation_report.to_text` makes the table of it.

    Raises:
      UserError: no run or no data, or of other classes or streams.
    """
    from official_vision.training.clip_scoring import (
        devices_of_run,
        evaluate_without,
        load_trained,
        score_clips,
    )
    from official_vision.training.evaluation_of_run import report_of
    from official_vision.training.frame_scoring import localise as score_frames

    trained = load_trained(folder, checkpoint, devices_of_run(folder), data)
    clips = score_clips(trained)
    scored = clips.pooled(trained.config.evaluation)
    without = evaluate_without(trained) if blank_streams else {}
    localisation = score_frames(trained)[0] if localise else None
    return report_of(trained, clips, scored, without, localisation)


def export(
    folder: str | os.PathLike,
    output: str | os.PathLike,
    *,
    checkpoint: str = "best",
    data: str | os.PathLike | None = None,
    **options: Any,
) -> Exported:
    """Exports a run for TF Serving and TFLite, and compares the files with the network.

    Args:
      folder: of the run.
      output: folder of versions 1, 2, ...; the next one is written.
      checkpoint: as of `load_run`.
      data: folder of a prepared split, clips of which are compared; None takes those in the run's folder, or the
        run's validation data.
      **options: fields of `official_vision.serving.export.options.ExportOptions`, e.g.
        tflite=("int8",), precision="bfloat16".

    Returns:
      The version's folder, how near each file's scores are to the network's, and notes.

    Raises:
      UserError: no run, no clips, or a file whose scores differ too much; then nothing is written.
    """
    from official_vision.serving.export.options import ExportOptions
    from official_vision.serving.export.version_folder import export as export_run

    check_names(options, ExportOptions.__dataclass_fields__, "an export")
    return export_run(folder, output, checkpoint, ExportOptions(**options), data=data)
