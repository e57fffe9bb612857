"""A training run: checks first, then Model Garden's trainer, from the state of the run's folder."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from official_vision import formats
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.storage.damaged_segments import damage_named
from official_vision.data.storage.index import Index
from official_vision.errors import UserError, nearest
from official_vision.lock import folder_locked
from official_vision.metrics.charades_map import is_charades
from official_vision.metrics.class_bands import class_bands
from official_vision.metrics.evaluation import figure_names
from official_vision.metrics.figures import with_nan
from official_vision.modeling.builder import resolve_architecture
from official_vision.modeling.execution import in_precision
from official_vision.names import check_no_pattern
from official_vision.progress import clock
from official_vision.training.checkpoints.best import INFO_FILE
from official_vision.training.checkpoints.checkpoint_files import full_disk_named, newest_whole
from official_vision.training.checkpoints.restore import BEST_FOLDER
from official_vision.training.devices.description import devices_lines
from official_vision.training.devices.determinism import operations_deterministic
from official_vision.training.devices.strategies import (
    is_chief,
    lost_workers_named,
    make_strategy,
)
from official_vision.training.devices.visible import set_up
from official_vision.training.job import Job
from official_vision.training.loggers.run_log import check_packages, run_log
from official_vision.training.observation.first_lines import first_lines
from official_vision.training.optimizers.build import make_optimizer
from official_vision.training.resilience.early_stopping import check_figure
from official_vision.training.resilience.nan_checks import Breakdown, NotFiniteError
from official_vision.training.resilience.skipped_batches import (
    SkippedBatch,
    batch_after,
    read_skipped,
    write_skipped,
)
from official_vision.training.resilience.stop_signals import stop_signals_noted
from official_vision.training.run_folder import folder
from official_vision.training.run_folder.class_names import check_start_classes
from official_vision.training.settings_from_data import notes_on_settings, read_splits, settled
from official_vision.training.step.accumulation import check_parts
from official_vision.training.step.distillation import check_teacher
from official_vision.training.step.frozen_weights import check_patterns
from official_vision.training.training_loop import Ending, train_from_checkpoint


def train(config: Config, *, allow_changes: bool = False) -> folder.TrainingResult:
    """Trains until TrainSpec.steps, from the newest checkpoint of the run's folder if there is one.

    Args:
      config: every setting; those that are None and that the data know are settled by the data.
      allow_changes: a run may go on with settings that change what its weights mean
        (training/run_folder/setting_changes.py), or on other data of the same classes.

    Returns:
      What the run reached.

    Raises:
      UserError: settings that don't fit each other, the data, the devices or the folder; a folder that
        another process trains in; a loss that is not a number.
    """
    started = time.monotonic()
    # First: devices and threads can only be set, and workers joined, before any operation ran.
    set_up(config.train)
    strategy = make_strategy(config.train)
    about_devices = devices_lines(strategy, config.train)
    model_dir = Path(_checked(config).train.model_dir)
    architecture = resolve_architecture(config.model)
    indexes = read_splits(config, architecture)
    model_spec, config = config.model, settled(config, architecture, indexes)
    _check_fit(config, indexes["train"], strategy)
    with contextlib.ExitStack() as around:
        around.enter_context(operations_deterministic(wanted=config.train.deterministic))
        if is_chief(strategy):
            around.enter_context(folder_locked(model_dir, "TrainSpec.model_dir", "training"))
        start = folder.start_of(
            model_dir, config, architecture, indexes, allow_changes=allow_changes
        )
        config = start.config
        around.enter_context(lost_workers_named(strategy, config.train.model_dir))
        around.enter_context(full_disk_named(model_dir))
        around.enter_context(_damage_named(config, indexes))
        around.enter_context(in_precision(config.train.precision))
        stop = around.enter_context(stop_signals_noted())
        records = around.enter_context(folder.records_of(model_dir, is_chief(strategy)))
        facts = (config, architecture, indexes)
        stored = _begun(model_dir, start, *facts) if is_chief(strategy) else []
        is_writing = is_chief(strategy) and not start.is_done
        log = around.enter_context(run_log(config, records, _note, is_chief=is_writing))
        job = Job(*facts, strategy, stop, log, records, sys.stdout)
        lines = [
            *about_devices,
            *start.lines,
            *notes_on_settings(config, model_spec, architecture, indexes),
            *first_lines(config),
            *stored,
        ]
        end = _until_done(job, lines, _recorder(model_dir, job, start))
        best = with_nan(formats.BEST_CHECKPOINT.read(records / BEST_FOLDER / INFO_FILE))
        seconds, metric = time.monotonic() - started, config.train.best_metric
        result = folder.TrainingResult(end.step, end.figures, best, seconds, metric, end.reason)
        if not (end.step == start.step and (records / folder.RESULT_FILE).is_file()):
            folder.write_result(records, result)
    return result


def _begun(
    model_dir: Path,
    start: folder.Start,
    config: Config,
    architecture: Architecture,
    indexes: Mapping[str, Index],
) -> list[str]:
    """Writes what the folder lacks before training begins; returns lines for the user."""
    # The record of settings that changed, and clips cut by them, wait until something was trained with them.
    if start.changes:
        return []
    write = folder.begin if start.is_new else folder.store_held_out_clips
    return write(model_dir, config, architecture, indexes)


def _recorder(model_dir: Path, job: Job, start: folder.Start) -> Callable[[], None]:
    """Returns a function to call after each checkpoint: it records the run's settings, once."""
    pending = is_chief(job.strategy) and not start.is_new

    def record() -> None:
        nonlocal pending
        if pending:
            folder.begin(model_dir, job.config, job.architecture, job.indexes)
            folder.note_changes(model_dir, start)
        pending = False

    return record


def _until_done(job: Job, lines: Sequence[str], on_saved: Callable[[], None]) -> Ending:
    """Trains to the end, and returns to the last checkpoint up to TrainSpec.rollbacks times."""
    model_dir = Path(job.config.train.model_dir)
    skipped = read_skipped(model_dir)
    while True:
        try:
            return train_from_checkpoint(job, skipped, lines, on_saved)
        except NotFiniteError as error:
            lines = ()
            skipped = _with_broken_batch(job, skipped, error.breakdown)
            if is_chief(job.strategy):
                write_skipped(model_dir, skipped)


def _with_broken_batch(
    job: Job, skipped: list[SkippedBatch], broken: Breakdown
) -> list[SkippedBatch]:
    """Adds the batch that broke the run, or ends the run when no rollbacks are left."""
    settings = job.config.train
    videos = tuple(job.indexes["train"].videos[row] for row in broken.videos)
    where = f"at step {broken.step}, on videos {', '.join(videos)}" if videos else "after a loop"
    newest = newest_whole(settings.model_dir)
    newest_text = (
        f"the last checkpoint is {newest}" if newest else "no checkpoint has been written yet"
    )
    if not videos or len(skipped) >= settings.rollbacks:
        raise UserError(
            f"The loss, gradients and weights must be finite. Received: {broken.cause}, not so {where}; "
            f"{newest_text}; {len(skipped)} of TrainSpec.rollbacks = {settings.rollbacks} are used. "
            "Lower OptimizerSpec.learning_rate, clip gradients, look at the videos, or allow a roll-back."
        )
    print(
        f"{broken.cause} not finite {where}: going back without that batch; {newest_text}",
        file=job.stream,
        flush=True,
    )
    batch = batch_after(broken.step - 1, skipped)
    return [*skipped, SkippedBatch(batch, broken.step, broken.cause, videos)]


def _checked(config: Config) -> Config:
    spec = config.train
    if not spec.model_dir:
        raise UserError("TrainSpec.model_dir must be set. Received: ''. Name a folder for the run.")
    check_no_pattern(spec.model_dir, "TrainSpec.model_dir")
    check_patterns(spec.frozen)
    check_packages(spec.loggers)
    # Built once for its checks: a misspelt optimizer is refused before anything is written.
    batch_size = config.train_data.batch_size
    make_optimizer(config.optimizer, spec, batch_size, config.architecture_optimizer)
    return config


@contextlib.contextmanager
def _damage_named(config: Config, indexes: Mapping[str, Index]) -> Iterator[None]:
    trained, validated = config.train_data.path, config.validation_data.path
    with damage_named(trained, indexes["train"]), damage_named(validated, indexes["validation"]):
        yield


def _check_fit(config: Config, index: Index, strategy: tf.distribute.Strategy) -> None:
    """Refuses what does not fit the training data, whose index is `index`, or the devices."""
    _check_metric(config, index)
    check_start_classes(config.train, index.classes)
    check_teacher(config.loss, config.model.activation, index)
    replicas, parts = strategy.num_replicas_in_sync, config.train.accumulation_steps
    check_parts(config.train_data.batch_size, replicas, parts)


def _check_metric(config: Config, index: Index) -> None:
    names = figure_names(
        single_label=config.model.activation == "softmax",
        charades=is_charades(index.classes),
        banded=bool(class_bands(index.class_counts)),
    )
    figures, metric = (*names, "validation_loss"), config.train.best_metric
    if metric not in figures:
        raise UserError(
            f"TrainSpec.best_metric must be a figure of evaluation. Received: {metric!r}. "
            f"{nearest(metric, figures)}"
        )
    check_figure(config.train, figures)


def summary_line(result: folder.TrainingResult) -> str:
    """Describes in one line how a run ended."""
    metric = result.metric
    line = (
        f"trained to step {result.step} in {clock(result.seconds)}; best {metric} "
        f"{result.best[metric]:.4f} at step {result.best['best_ckpt_global_step']:.0f}"
    )
    return line if result.reason == folder.ALL_STEPS else f"{line}; {result.reason}"


def _note(line: str) -> None:
    print(line, flush=True)
