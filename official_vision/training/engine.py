"""Model Garden's side of a run: its experiment, task, precision and log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tf_keras
from official.core import config_definitions

from official_vision.config import Config
from official_vision.training.optimization import make_optimizer
from official_vision.training.restore import BEST_FOLDER
from official_vision.training.task import VideoTask


def make_experiment(config: Config) -> config_definitions.ExperimentConfig:
    """Model Garden's view of the run."""
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
        best_checkpoint_export_subdir=BEST_FOLDER,
        best_checkpoint_eval_metric=train.best_metric,
        best_checkpoint_metric_comp="lower" if "loss" in train.best_metric else "higher",
    )
    return config_definitions.ExperimentConfig(task=task, trainer=trainer)


class TrainedTask(VideoTask):
    """The task with its optimizer, which Model Garden's trainer asks the task's class for."""

    def create_optimizer(self, *_: object, **__: object) -> tf_keras.optimizers.Optimizer:
        config = self.config
        return make_optimizer(
            config.optimizer,
            config.train,
            config.train_data.batch_size,
            config.architecture_optimizer,
        )


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Keras's global policy for the time of training: networks built later keep their own."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


@contextlib.contextmanager
def orbit_lines_in(path: Path) -> Iterator[None]:
    """Sends what Orbit prints to a log file, so that the screen shows progress alone."""
    with open(path, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        yield
