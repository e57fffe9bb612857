"""The training loop of a run: from its newest whole checkpoint to its last step, or to the step that breaks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

import tensorflow as tf
import tf_keras
from official.core import config_definitions

from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.storage.index import Index
from official_vision.errors import UserError
from official_vision.training import model_garden
from official_vision.training.checkpoints.checkpoint_files import forget_damaged, newest_whole
from official_vision.training.checkpoints.restore import step_of
from official_vision.training.controller import Controller
from official_vision.training.devices.memory import memory_line
from official_vision.training.devices.strategies import is_chief
from official_vision.training.observation.observer import Observer
from official_vision.training.resilience.nan_checks import NotFiniteError
from official_vision.training.resilience.skipped_batches import SkippedBatch, batch_after
from official_vision.training.resilience.step_monitor import StepMonitor
from official_vision.training.resilience.stop_signals import StopRequest
from official_vision.training.run_folder import folder
from official_vision.training.task import VideoTask


@dataclasses.dataclass(frozen=True)
class Job:
    """The inputs of a run's training loop, which may be entered several times.

    Attributes:
      config: every setting.
      architecture: the graph.
      indexes: of the train and validation data.
      strategy: of tf.distribute.
      stop: request to end the run.
      records: folder that this process writes to: the run's, or a temporary one of a worker.
      stream: progress is shown here.
    """

    config: Config
    architecture: Architecture
    indexes: Mapping[str, Index]
    strategy: tf.distribute.Strategy
    stop: StopRequest
    records: Path
    stream: TextIO


def train_from_checkpoint(
    job: Job,
    skipped: Sequence[SkippedBatch],
    first_lines: Sequence[str],
    on_saved: Callable[[], None],
) -> Mapping[str, float]:
    """Trains and evaluates from the newest whole checkpoint on.

    Args:
      job: the run.
      skipped: batches to pass over.
      first_lines: that the user sees first.
      on_saved: called when a checkpoint was saved.

    Returns:
      The last evaluation's figures.

    Raises:
      NotFiniteError: the loss, the gradients or the weights broke; nothing of that loop is kept.
      StoppedError: SIGTERM arrived, and a checkpoint was saved.
    """
    config, train = job.config, job.config.train
    lines = [*first_lines]
    newest = newest_whole(train.model_dir, lines.append)
    if is_chief(job.strategy):
        forget_damaged(train.model_dir, newest)
    start_step = step_of(newest) if newest else 0
    _check_common_start(job.strategy, start_step)
    observer = Observer(config, job.indexes, job.records, start_step, job.stream)
    replicas = job.strategy.num_replicas_in_sync
    lines.append(memory_line(config, job.architecture, replicas))
    for line in lines:
        observer.note(line)
    tf_keras.utils.set_random_seed(train.seed)
    experiment = model_garden.make_experiment(config)
    monitor = StepMonitor(job.stop, skipped)
    task = VideoTask(
        config,
        job.architecture,
        dict(job.indexes),
        experiment.task,
        batch_after(start_step, skipped),
        observer.note,
        monitor,
    )
    try:
        with model_garden.orbit_lines_in(job.records / folder.LOG_FILE):
            return _trained(job, experiment, task, monitor, newest, observer, on_saved)
    finally:
        task.tell_skipped()
        observer.close()


def _trained(
    job: Job,
    experiment: config_definitions.ExperimentConfig,
    task: VideoTask,
    monitor: StepMonitor,
    newest: str | None,
    observer: Observer,
    on_saved: Callable[[], None],
) -> Mapping[str, float]:
    runner = model_garden.Runner(
        distribution_strategy=job.strategy,
        task=task,
        mode="train_and_eval",
        params=experiment,
        model_dir=str(job.records),
        train_actions=[lambda output: after_loop(output)],
        eval_actions=[
            observer.after_evaluation,
            lambda _: task.tell_skipped(),
        ],
        controller_cls=functools.partial(
            Controller,
            resume_from=newest,
            records=job.records,
            trainer_config=experiment.trainer,
            stop=job.stop,
            on_saved=on_saved,
        ),
        stopwatch=observer.stopwatch,
    )
    after_loop = _loop_action(job, monitor, runner, observer)
    observer.watch(runner)
    with job.strategy.scope():
        return runner.controller.train_and_evaluate(
            job.config.train.steps, eval_interval=job.config.train.validation_interval
        )


def _loop_action(
    job: Job, monitor: StepMonitor, runner: model_garden.Runner, observer: Observer
) -> Callable[[Mapping], None]:
    def after_loop(output: Mapping) -> None:
        step = int(runner.trainer.global_step.numpy())
        weights = runner.trainer.model.trainable_variables
        if broken := monitor.after_loop(job.strategy, step, weights):
            raise NotFiniteError(broken)
        observer.after_loop(output)

    return after_loop


def _check_common_start(strategy: tf.distribute.Strategy, start_step: int) -> None:
    """Refuses workers that don't see the same folder: they would train different weights, and wait for ever."""
    start = strategy.run(lambda: tf.constant([start_step]))
    steps = sorted(set(strategy.gather(start, axis=0).numpy().tolist()))
    if len(steps) > 1:
        raise UserError(
            "TrainSpec.model_dir must be one folder that all workers see. Received: workers that would "
            f"go on from steps {', '.join(map(str, steps))}. Put it on storage that they share."
        )
