"""The folder of a run: whether training may continue in it, and its result."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import config as configuration
from official_vision import formats
from official_vision.architecture.formats import read_architecture, save_architecture, to_json
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.storage.index import Index
from official_vision.data.storage.split_comparison import class_difference
from official_vision.errors import UserError
from official_vision.metrics.figures import without_nan
from official_vision.modeling.inputs import streams_of
from official_vision.training.checkpoints.best import INFO_FILE
from official_vision.training.checkpoints.checkpoint_files import newest_whole
from official_vision.training.checkpoints.restore import ARCHITECTURE_FILE, BEST_FOLDER, step_of
from official_vision.training.controller import EVALUATED_FILE
from official_vision.training.run_folder.class_names import labels_of_run, write_labels
from official_vision.training.run_folder.held_out_clips import store_clips
from official_vision.training.run_folder.recorded_data import write_run_data
from official_vision.training.run_folder.setting_changes import changes_between

LOG_FILE = "train.log"
RESULT_FILE = "result.json"  # its presence shows that the run has ended
CHANGES_FILE = "changes.json"  # settings that changed on the way, and from which step
ALL_STEPS = "all steps were taken"
_RESUMED = "resumed"


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """The end of a run.

    Attributes:
      step: reached.
      figures: of the last evaluation.
      best: of the best one.
      seconds: of wall time.
      metric: the figure by which the best is the best.
      reason: why the run ended: ALL_STEPS, or what early stopping decided by.
    """

    step: int
    figures: Mapping[str, float]
    best: Mapping[str, float]
    seconds: float
    metric: str
    reason: str = ALL_STEPS


@dataclasses.dataclass(frozen=True)
class Start:
    """The start of a run, or its continuation.

    Attributes:
      config: the settings with which it does: the recorded ones where nothing is left to train.
      lines: what the user should know of it.
      changes: that are recorded, with the step, once something was trained with them; where nothing is left to
        train, those that are not used.
      is_new: nothing was trained in the folder yet.
      step: that the run has reached.
      is_done: nothing is left to train.
    """

    config: Config
    lines: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    is_new: bool = True
    step: int = 0
    is_done: bool = False


def start_of(
    model_dir: Path,
    config: Config,
    architecture: Architecture,
    indexes: Mapping[str, Index],
    *,
    allow_changes: bool = False,
) -> Start:
    """Reads a folder, and decides how its run continues.

    Args:
      model_dir: the run's folder, which may not exist.
      config: settings, settled by the data.
      architecture: the graph.
      indexes: of the train and validation data.
      allow_changes: also with settings that change what weights mean, or other data of the same classes.

    Raises:
      UserError: another graph, other classes, or changes that are not allowed, each of which is named.
    """
    newest = newest_whole(model_dir) if model_dir.is_dir() else None
    has_best = (model_dir / BEST_FOLDER / INFO_FILE).is_file()
    if not (newest or has_best) or not (model_dir / configuration.CONFIG_JSON).is_file():
        return Start(config)
    step = step_of(newest) if newest else 0
    record = configuration.read_record(model_dir)
    is_untrained = step == 0 and not has_best
    changes = changes_between(record["config"], config, of_model_alone=is_untrained)
    refused = [*changes.of_weights, *_other_graph(model_dir, architecture)]
    refused += _other_classes(model_dir, indexes)
    meaning = [*changes.of_meaning, *_other_data(record, indexes)]
    if refused or (meaning and not allow_changes):
        remedy = "" if refused else ", or accept what is named here by --allow_changes"
        raise UserError(
            f"A run goes on with its first model, clips and data. Received: {model_dir}, in which "
            f"{'; '.join([*refused, *meaning])}. Choose another TrainSpec.model_dir or the old settings{remedy}."
        )
    notes = (*meaning, *changes.plain)
    if step >= config.train.steps:
        lines = (f"{model_dir} is at step {step}: nothing is left to train", *_unused(notes))
        recorded = _as_trained(configuration.read(model_dir), config, step)
        return Start(recorded, lines, notes, is_new=False, step=step, is_done=True)
    line = f"resuming {model_dir} at step {step} of {config.train.steps}"
    lines = tuple(f"changed: {change}" for change in notes)
    return Start(config, (line, *lines), notes, is_new=False, step=step)


def begin(
    model_dir: Path, config: Config, architecture: Architecture, indexes: Mapping[str, Index]
) -> list[str]:
    """Writes the run's settings, graph and classes into its folder, the description of its data and clips of them.

    Returns:
      Lines for the user, as of `store_held_out_clips`.
    """
    config.save(model_dir, {name: index.fingerprint for name, index in indexes.items()})
    save_architecture(architecture, model_dir / ARCHITECTURE_FILE)
    write_labels(model_dir, indexes["train"].classes)
    write_run_data(model_dir, config, indexes)
    return store_held_out_clips(model_dir, config, architecture, indexes)


def store_held_out_clips(
    model_dir: Path, config: Config, architecture: Architecture, indexes: Mapping[str, Index]
) -> list[str]:
    """Stores clips of the validation data, as `store_clips`, unless they lie in the folder whole."""
    streams = streams_of(architecture, config.model)
    return store_clips(model_dir, config, indexes["validation"], streams)


def note_changes(model_dir: Path, start: Start) -> None:
    """Adds the run's new settings to changes.json, with the step at which they begin."""
    if not start.changes:
        return
    path = model_dir / CHANGES_FILE
    before = formats.CHANGES.read(path, {_RESUMED: list})[_RESUMED] if path.is_file() else []
    resumed = {"step": start.step, "changes": list(start.changes)}
    formats.CHANGES.write(path, {_RESUMED: [*before, resumed]})


def _unused(changes: Sequence[str]) -> list[str]:
    return [f"not used, since nothing is trained: {change}" for change in changes]


def _as_trained(recorded: Config, now: Config, step: int) -> Config:
    """Returns the recorded settings, here and on these devices, ended at the step that was reached."""
    devices = ("model_dir", "strategy", "devices", "compiled", "tpu", "threads_per_operation")
    train = dataclasses.replace(
        recorded.train, steps=step, **{name: getattr(now.train, name) for name in devices}
    )
    paths = {
        name: dataclasses.replace(getattr(recorded, name), path=getattr(now, name).path)
        for name in ("train_data", "validation_data")
    }
    # A warm-up that was stopped within would be refused as longer than the run.
    optimizers = {
        name: dataclasses.replace(getattr(recorded, name), warmup_steps=0)
        for name in ("optimizer", "architecture_optimizer")
    }
    return dataclasses.replace(recorded, train=train, **paths, **optimizers)


def _other_graph(model_dir: Path, architecture: Architecture) -> list[str]:
    path = model_dir / ARCHITECTURE_FILE
    if not path.is_file():
        return []
    saved = read_architecture(path)
    if to_json(saved) == to_json(architecture):
        return []
    return [f"the architecture was {saved.name!r}, is {architecture.name!r}"]


def _other_classes(model_dir: Path, indexes: Mapping[str, Index]) -> list[str]:
    labels = labels_of_run(model_dir)
    difference = labels and class_difference(labels, indexes["train"].classes)
    return [f"the classes are others, {difference} now"] if difference else []


def _other_data(record: Mapping[str, Any], indexes: Mapping[str, Index]) -> list[str]:
    return [
        f"the {name} data has another fingerprint"
        for name, index in indexes.items()
        if record["data_fingerprints"].get(name, index.fingerprint) != index.fingerprint
    ]


@contextlib.contextmanager
def records_of(model_dir: Path, is_chief: bool) -> Iterator[Path]:
    """Yields the folder that a process writes to: the run's, or a temporary one of another worker.

    Saving takes all workers, since each has a part of some variables; but one folder is enough. The
    other workers' folders begin with the records by which all must decide alike.
    """
    if is_chief:
        yield model_dir
        return
    with tempfile.TemporaryDirectory(prefix="official-vision-worker-") as passing:
        for name in (EVALUATED_FILE, f"{BEST_FOLDER}/{INFO_FILE}"):
            if (model_dir / name).is_file():
                (Path(passing) / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(model_dir / name, Path(passing) / name)
        yield Path(passing)


def write_result(model_dir: Path, result: TrainingResult) -> None:
    """Writes result.json; figures that are not a number become null."""
    formats.RESULT.write(model_dir / RESULT_FILE, without_nan(dataclasses.asdict(result)))
