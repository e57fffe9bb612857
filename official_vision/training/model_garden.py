"""Model Garden's side of a run: its experiment, its trainer and its log."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

from official.core import config_definitions, train_utils

from official_vision.config import Config
from official_vision.training.checkpoints.best import BestExporter
from official_vision.training.checkpoints.restore import BEST_FOLDER
from official_vision.training.devices.compilation import wraps_step
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.resilience.early_stopping import is_lower_better
from official_vision.training.task import VideoTask
from official_vision.training.trainer import Trainer


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
        best_checkpoint_metric_comp="lower" if is_lower_better(train.best_metric) else "higher",
    )
    return config_definitions.ExperimentConfig(task=task, trainer=trainer)


def make_trainer(
    experiment: config_definitions.ExperimentConfig,
    task: VideoTask,
    records: Path,
    stopwatch: Stopwatch,
) -> Trainer:
    """Makes the trainer, and the network and optimizer with it; within the strategy's scope.

    Args:
      experiment: of the run.
      task: of the run.
      records: folder that holds the one of the best checkpoint.
      stopwatch: gets the seconds of training, input and evaluations.
    """
    settings = experiment.trainer
    exporter = BestExporter(
        records / BEST_FOLDER,
        settings.best_checkpoint_eval_metric,
        lower_is_better=settings.best_checkpoint_metric_comp == "lower",
    )
    return train_utils.create_trainer(
        experiment,
        task,
        train=True,
        evaluate=True,
        checkpoint_exporter=exporter,
        trainer_cls=functools.partial(
            Trainer, stopwatch=stopwatch, compiled=wraps_step(task.config.train)
        ),
    )


@contextlib.contextmanager
def orbit_lines_in(path: Path) -> Iterator[None]:
    """Sends Orbit's output to a log file, so that the screen shows progress alone."""
    with open(path, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        yield
