"""The training loop of a run: from its newest whole checkpoint to its last step, or to the step that breaks."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence

import orbit
import tensorflow as tf
import tf_keras
from official.core import actions, config_definitions

from official_vision.errors import UserError
from official_vision.metrics.figures import scalars
from official_vision.training import model_garden
from official_vision.training.checkpoints.checkpoint_files import forget_damaged, newest_whole
from official_vision.training.checkpoints.restore import step_of
from official_vision.training.controller import Controller
from official_vision.training.devices.memory import memory_line
from official_vision.training.devices.strategies import is_chief
from official_vision.training.job import Job
from official_vision.training.observation.observer import Observer
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.observation.training_progress import TrainingProgress
from official_vision.training.resilience.early_stopping import EarlyStopping
from official_vision.training.resilience.nan_checks import NotFiniteError
from official_vision.training.resilience.skipped_batches import SkippedBatch, batch_after
from official_vision.training.resilience.step_monitor import StepMonitor
from official_vision.training.run_folder import folder
from official_vision.training.task import VideoTask
from official_vision.training.trainer import CheckpointManager


@dataclasses.dataclass(frozen=True)
class Ending:
    """How training ended: the step reached, the last evaluation's figures, and why there."""

    step: int
    figures: Mapping[str, float]
    reason: str


def train_from_checkpoint(
    job: Job,
    skipped: Sequence[SkippedBatch],
    first_lines: Sequence[str],
    on_saved: Callable[[], None],
) -> Ending:
    """Trains and evaluates from the newest whole checkpoint on.

    Args:
      job: the run.
      skipped: batches to pass over.
      first_lines: that the user sees first.
      on_saved: called when a checkpoint was saved.

    Returns:
      The end, which may be before the last step: early stopping.

    Raises:
      NotFiniteError: the loss, the gradients or the weights broke; nothing of that loop is kept.
      StoppedError: SIGTERM arrived, and a checkpoint was saved.
    """
    train = job.config.train
    lines = [*first_lines]
    newest = newest_whole(train.model_dir, lines.append)
    if is_chief(job.strategy):
        forget_damaged(train.model_dir, newest)
    start_step = step_of(newest) if newest else 0
    _check_common_start(job.strategy, start_step)
    lines.append(memory_line(job.config, job.architecture, job.strategy))
    batch_size = job.config.train_data.batch_size
    progress = TrainingProgress(start_step, train.steps, batch_size, job.stream)
    with contextlib.closing(progress):
        for line in lines:
            progress.note(line)
        job.log.resume(start_step, progress.note)
        tf_keras.utils.set_random_seed(train.seed)
        with model_garden.orbit_lines_in(job.records / folder.LOG_FILE):
            return Runner(job, newest, skipped, progress, on_saved).train()


class Runner:
    """Trains from one checkpoint to the run's last step, or to a step that breaks.

    Each part gets those before it: the task its monitor, Model Garden's trainer the task, the observer
    the trainer, and Orbit's controller them all.
    """

    def __init__(
        self,
        job: Job,
        newest: str | None,
        skipped: Sequence[SkippedBatch],
        progress: TrainingProgress,
        on_saved: Callable[[], None],
    ):
        """Args:
        job: the run.
        newest: checkpoint to go on from; None starts afresh.
        skipped: batches to pass over.
        progress: shows the user how far it is.
        on_saved: called when a checkpoint was saved.
        """
        start_step = step_of(newest) if newest else 0
        experiment = model_garden.make_experiment(job.config)
        self._job = job
        self._monitor = StepMonitor(job.stop, skipped)
        self._task = VideoTask(
            job.config,
            job.architecture,
            dict(job.indexes),
            experiment.task,
            batch_after(start_step, skipped),
            progress.note,
            self._monitor,
        )
        # Outside of the strategy's scope.
        stopwatch = Stopwatch(is_deterministic=job.config.train.deterministic)
        with job.strategy.scope():
            self._trainer = model_garden.make_trainer(
                experiment, self._task, job.records, stopwatch
            )
        summaries = {split: self._summaries(split) for split in ("train", "validation")}
        self._early_stopping = EarlyStopping(job.config.train, start_step)
        self._observer = Observer(job, start_step, progress, self._trainer, summaries)
        self._controller = self._make_controller(experiment, newest, summaries, on_saved)

    def train(self) -> Ending:
        """Trains and evaluates to the end.

        Returns:
          It, which may be before the last step: early stopping.

        Raises:
          NotFiniteError: the loss, the gradients or the weights broke; nothing of that loop is kept.
          StoppedError: SIGTERM arrived, and a checkpoint was saved.
        """
        train = self._job.config.train
        try:
            self._observer.begin()
            with self._job.strategy.scope():
                figures = self._controller.train_and_evaluate(
                    train.steps, eval_interval=train.validation_interval
                )
            return self._ending(figures)
        finally:
            self._task.tell_skipped()
            self._observer.close()

    def _ending(self, figures: Mapping[str, float]) -> Ending:
        step = int(self._trainer.global_step.numpy())
        if step >= self._job.config.train.steps:
            return Ending(step, figures, folder.ALL_STEPS)
        self._observer.end_early()
        return Ending(step, figures, self._early_stopping.reason())

    def _summaries(self, split: str) -> orbit.utils.SummaryManager:
        """Returns what writes summaries, which does nothing without a folder."""
        is_shown = "tensorboard" in self._job.config.train.loggers
        path = str(self._job.records / split) if is_shown else None
        step = self._trainer.global_step
        return orbit.utils.SummaryManager(path, tf.summary.scalar, global_step=step)

    def _make_controller(
        self,
        experiment: config_definitions.ExperimentConfig,
        newest: str | None,
        summaries: Mapping[str, orbit.utils.SummaryManager],
        on_saved: Callable[[], None],
    ) -> Controller:
        job, trainer = self._job, self._trainer
        manager = CheckpointManager(
            trainer.checkpoint,
            directory=str(job.records),
            max_to_keep=experiment.trainer.max_to_keep,
            stopwatch=trainer.stopwatch,
        )
        return Controller(
            resume_from=newest,
            records=job.records,
            trainer_config=experiment.trainer,
            stop=job.stop,
            on_saved=on_saved,
            is_over=lambda: bool(self._early_stopping.reason()),
            strategy=job.strategy,
            trainer=trainer,
            evaluator=trainer,
            global_step=trainer.global_step,
            steps_per_loop=experiment.trainer.steps_per_loop,
            checkpoint_manager=manager,
            summary_interval=experiment.trainer.summary_interval,
            summary_manager=summaries["train"],
            eval_summary_manager=summaries["validation"],
            # Without a folder that differs Orbit writes all to the first one's manager.
            eval_summary_dir=str(job.records / "validation"),
            train_actions=[self._after_loop],
            eval_actions=[
                self._after_evaluation,
                lambda _: self._task.tell_skipped(),
                *actions.get_eval_actions(experiment, trainer, str(job.records)),
            ],
        )

    def _after_evaluation(self, output: Mapping) -> None:
        self._observer.after_evaluation(output)
        self._early_stopping.observe(int(self._trainer.global_step.numpy()), scalars(output))

    def _after_loop(self, output: Mapping) -> None:
        step = int(self._trainer.global_step.numpy())
        weights = self._trainer.model.trainable_variables
        if broken := self._monitor.after_loop(self._job.strategy, step, weights):
            raise NotFiniteError(broken)
        self._observer.after_loop(output)


def _check_common_start(strategy: tf.distribute.Strategy, start_step: int) -> None:
    """Refuses workers that don't see the same folder: they would train different weights, and wait for ever."""
    start = strategy.run(lambda: tf.constant([start_step]))
    steps = sorted(set(strategy.gather(start, axis=0).numpy().tolist()))
    if len(steps) > 1:
        raise UserError(
            "TrainSpec.model_dir must be one folder that all workers see. Received: workers that would "
            f"go on from steps {', '.join(map(str, steps))}. Put it on storage that they share."
        )
