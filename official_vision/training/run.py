"""A training run: checks first, then Model Garden's trainer, resuming where the folder stands."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from official_vision import files
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.damage import damage_named
from official_vision.data.index import Index
from official_vision.data.input import read_index
from official_vision.errors import UserError, nearest
from official_vision.metrics.evaluation import figure_names
from official_vision.metrics.figures import with_nan
from official_vision.modeling.builder import resolve_architecture
from official_vision.modeling.inputs import streams_of
from official_vision.modeling.precision import in_precision
from official_vision.training import folder
from official_vision.training.accumulation import check_parts
from official_vision.training.attempt import Job, attempt
from official_vision.training.best import INFO_FILE
from official_vision.training.checkpoints import full_disk_named, newest_whole
from official_vision.training.freezing import check_patterns
from official_vision.training.health import Breakdown, NotFiniteError
from official_vision.training.observation.progress import clock
from official_vision.training.optimization import make_optimizer
from official_vision.training.preemption import sigterm_noted
from official_vision.training.restore import BEST_FOLDER
from official_vision.training.skipping import SkippedBatch, batch_after, read_skipped, write_skipped
from official_vision.training.strategies import is_chief, lost_workers_named, make_strategy
from official_vision.training.threads import set_threads


def train(config: Config) -> folder.TrainingResult:
    """Trains until TrainSpec.steps, from the newest checkpoint of the run's folder where there is one.

    Args:
      config: every setting.

    Returns:
      What the run reached.

    Raises:
      UserError: settings that don't fit each other, the data or the folder; a loss that is not a number.
    """
    started = time.monotonic()
    # First: threads can only be set, and workers joined, before any operation ran.
    set_threads(config.train)
    strategy = make_strategy(config)
    model_dir = Path(_checked(config).train.model_dir)
    architecture = resolve_architecture(config.model)
    indexes = _read_indexes(config, architecture)
    folder.check(model_dir, config, architecture, indexes)
    with contextlib.ExitStack() as around:
        around.enter_context(lost_workers_named(strategy, config.train.model_dir))
        around.enter_context(full_disk_named(model_dir))
        around.enter_context(damage_named(config.train_data.path, indexes["train"]))
        around.enter_context(damage_named(config.validation_data.path, indexes["validation"]))
        around.enter_context(in_precision(config.train.precision))
        stop = around.enter_context(sigterm_noted())
        check_parts(
            config.train_data.batch_size,
            strategy.num_replicas_in_sync,
            config.train.accumulation_steps,
        )
        if is_chief(strategy):
            folder.begin(model_dir, config, architecture, indexes)
        records = around.enter_context(folder.records_of(model_dir, is_chief(strategy)))
        job = Job(config, architecture, indexes, strategy, stop, records, sys.stdout)
        figures = _until_done(job)
        best = with_nan(files.read_json(records / BEST_FOLDER / INFO_FILE))
        result = folder.TrainingResult(
            config.train.steps, figures, best, time.monotonic() - started
        )
        folder.write_result(records, result)
    return result


def _until_done(job: Job) -> Mapping[str, float]:
    """Trains to the end, going back to the last checkpoint as often as TrainSpec.rollbacks allows."""
    model_dir = Path(job.config.train.model_dir)
    skipped = read_skipped(model_dir)
    while True:
        try:
            return attempt(job, skipped)
        except NotFiniteError as error:
            skipped = _with_broken_batch(job, skipped, error.breakdown)
            if is_chief(job.strategy):
                write_skipped(model_dir, skipped)


def _with_broken_batch(
    job: Job, skipped: list[SkippedBatch], broken: Breakdown
) -> list[SkippedBatch]:
    """Adds the batch that broke the run, or ends the run where that would be once too often."""
    train = job.config.train
    videos = tuple(job.indexes["train"].videos[row] for row in broken.videos)
    where = f"at step {broken.step}, on videos {', '.join(videos)}" if videos else "after a loop"
    newest = newest_whole(train.model_dir)
    kept = f"the last checkpoint is {newest}" if newest else "no checkpoint has been written yet"
    if not videos or len(skipped) >= train.rollbacks:
        raise UserError(
            f"The loss, gradients and weights must be finite. Received: {broken.cause}, not so {where}; "
            f"{kept}; {len(skipped)} of TrainSpec.rollbacks = {train.rollbacks} are used. "
            "Lower OptimizerSpec.learning_rate, clip gradients, look at the videos, or allow a roll-back."
        )
    print(
        f"{broken.cause} not finite {where}: going back without that batch; {kept}",
        file=job.stream,
        flush=True,
    )
    batch = batch_after(broken.step - 1, skipped)
    return [*skipped, SkippedBatch(batch, broken.step, broken.cause, videos)]


def _checked(config: Config) -> Config:
    train = config.train
    if not train.model_dir:
        raise UserError("TrainSpec.model_dir must be set. Received: ''. Name a folder for the run.")
    single_label = config.model.activation == "softmax"
    figures = (*figure_names(single_label=single_label), "validation_loss")
    if train.best_metric not in figures:
        raise UserError(
            f"TrainSpec.best_metric must be a figure of evaluation. Received: {train.best_metric!r}. "
            f"{nearest(train.best_metric, figures)}"
        )
    check_patterns(train.frozen)
    # Built once for its checks: a misspelt optimizer is refused before anything is written.
    batch_size = config.train_data.batch_size
    make_optimizer(config.optimizer, train, batch_size, config.architecture_optimizer)
    return config


def _read_indexes(config: Config, architecture: Architecture) -> dict[str, Index]:
    streams = streams_of(architecture, config.model)
    sections = {"train": config.train_data, "validation": config.validation_data}
    return {
        name: read_index(spec, streams, config.model.num_classes, name)
        for name, spec in sections.items()
    }


def summary_line(result: folder.TrainingResult, metric: str) -> str:
    """One line on how a run ended."""
    return (
        f"trained to step {result.step} in {clock(result.seconds)}; best {metric} "
        f"{result.best[metric]:.4f} at step {result.best['best_ckpt_global_step']:.0f}"
    )
