"""Model Garden's interface to a run: its experiment, its runner and its log."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from official.core import config_definitions, train_lib, train_utils

from official_vision.config import Config
from official_vision.training.checkpoints.best import BestExporter
from official_vision.training.checkpoints.restore import BEST_FOLDER
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.task import VideoTask
from official_vision.training.trainer import CheckpointManager, Trainer


def make_experiment(config: Config) -> config_definitions.ExperimentConfig:
    """Returns the run as Model Garden's ExperimentConfig."""
    train = config.train
    task = config_definitions.TaskConfig(
        train_data=config_definitions.DataConfig(is_training=True),
        validation_data=config_definitions.DataConfig(is_training=False),
    )
    trainer = config_definitions.TrainerConfig(
        train_steps=train.steps,
        steps_per_loop=train.steps_per_loop,
        summary_interval=train.steps_per_loop,
        checkpoint_interval=train.checkpoint_interval,
        validation_interval=train.validation_interval,
        max_to_keep=train.checkpoints_kept,
        # resilience/stop_signals.py handles SIGTERM: Model Garden's handler would restore, save and exit.
        preemption_on_demand_checkpoint=False,
        recovery_max_trials=-1,  # Model Garden's guard knows neither the step nor the batch
        best_checkpoint_export_subdir=BEST_FOLDER,
        best_checkpoint_eval_metric=train.best_metric,
        best_checkpoint_metric_comp="lower" if "loss" in train.best_metric else "higher",
    )
    return config_definitions.ExperimentConfig(task=task, trainer=trainer)


class Runner(train_lib.OrbitExperimentRunner):
    """Model Garden's runner with this package's trainer, checkpoint manager and best checkpoint."""

    def __init__(self, *settings: Any, stopwatch: Stopwatch, **others: Any):
        """Args:
        settings: of Model Garden's runner.
        stopwatch: gets the seconds of training, input, evaluations and checkpoints.
        others: of Model Garden's runner.
        """
        self._stopwatch = stopwatch
        super().__init__(*settings, **others)

    def _build_trainer(self, task: VideoTask, train: bool, evaluate: bool) -> Trainer:
        with self.strategy.scope():
            return train_utils.create_trainer(
                self.params,
                task,
                train,
                evaluate,
                checkpoint_exporter=self._build_best_checkpoint_exporter(),
                trainer_cls=functools.partial(Trainer, stopwatch=self._stopwatch),
            )

    def _build_best_checkpoint_exporter(self) -> BestExporter:
        trainer = self.params.trainer
        return BestExporter(
            str(Path(self.model_dir) / BEST_FOLDER),
            trainer.best_checkpoint_eval_metric,
            trainer.best_checkpoint_metric_comp,
        )

    def _maybe_build_checkpoint_manager(self) -> CheckpointManager:
        trainer = self.params.trainer
        return CheckpointManager(
            self.trainer.checkpoint,
            directory=self.model_dir,
            max_to_keep=trainer.max_to_keep,
            step_counter=self.trainer.global_step,
            checkpoint_interval=trainer.checkpoint_interval,
            stopwatch=self._stopwatch,
        )


@contextlib.contextmanager
def orbit_lines_in(path: Path) -> Iterator[None]:
    """Sends Orbit's output to a log file, so that the screen shows progress alone."""
    with open(path, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        yield
