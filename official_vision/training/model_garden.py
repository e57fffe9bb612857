"""Model Garden's side of a run: its experiment, task, precision and log."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras
from official.core import config_definitions, train_lib, train_utils

from official_vision.architecture.cost.connection_cost import ConnectionCosts, connection_costs
from official_vision.config import Config
from official_vision.errors import StoppedError
from official_vision.training.checkpoints.best import BestExporter
from official_vision.training.checkpoints.restore import BEST_FOLDER
from official_vision.training.cost_setting import setting_of
from official_vision.training.devices.strategies import is_one_of_many
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.optimizers.build import make_optimizer
from official_vision.training.resilience.nan_checks import FiniteWatch
from official_vision.training.resilience.skipped_batches import SkippedBatch, without_skipped
from official_vision.training.resilience.stop_signals import StopRequest
from official_vision.training.step.connection_latency import connection_latencies
from official_vision.training.step.connection_terms import ConnectionTerms
from official_vision.training.task import VideoTask
from official_vision.training.trainer import CheckpointManager, Trainer


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
        # SIGTERM is heard by preemption.py: Model Garden's handler would restore, save and leave by itself.
        preemption_on_demand_checkpoint=False,
        recovery_max_trials=-1,  # Model Garden's own guard knows neither the step nor the batch
        best_checkpoint_export_subdir=BEST_FOLDER,
        best_checkpoint_eval_metric=train.best_metric,
        best_checkpoint_metric_comp="lower" if "loss" in train.best_metric else "higher",
    )
    return config_definitions.ExperimentConfig(task=task, trainer=trainer)


class TrainedTask(VideoTask):
    """The task as it is trained: with its optimizer, watched, stoppable, some batches left out."""

    def __init__(self, *settings: object, skipped: Sequence[SkippedBatch], stop: StopRequest):
        """Args:
        settings: of VideoTask.
        skipped: batches to pass over.
        stop: ends an evaluation early.
        """
        super().__init__(*settings)
        self.watch: FiniteWatch | None = None
        self._left_out = skipped
        self._stop = stop

    def create_optimizer(self, *_: object, **__: object) -> tf_keras.optimizers.Optimizer:
        """Makes the optimizer, which Model Garden's trainer asks the task's class for."""
        config = self.config
        return make_optimizer(
            config.optimizer,
            config.train,
            config.train_data.batch_size,
            config.architecture_optimizer,
        )

    def build_model(self) -> tf_keras.Model:
        """Builds the network, the watch over its steps, and what a search adds to their loss."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        connectivity = self.config.connectivity
        batches = 2 if connectivity.updates == "bilevel" else 1  # that a step sees
        self.watch = FiniteWatch(batches * self.config.train_data.batch_size // replicas)
        model = super().build_model()
        if connectivity.has_terms:
            self.terms = ConnectionTerms(model, connectivity, self._costs())
        return model

    def _costs(self) -> ConnectionCosts | None:
        """Of connections, where their expected cost is part of the loss."""
        config = self.config
        if not config.connectivity.cost_weight:
            return None
        setting = setting_of(config.model, config.train_data)
        if config.connectivity.cost == "latency":
            return connection_latencies(self.architecture, setting, config.train.model_dir)
        return connection_costs(self.architecture, setting)

    def build_inputs(
        self,
        params: config_definitions.DataConfig,
        input_context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """Builds the batches of one input pipeline, without those to be skipped."""
        batches = super().build_inputs(params, input_context)
        if not params.is_training:
            return batches
        return without_skipped(batches, self.start_step, self._left_out)

    def observe(
        self, loss: tf.Tensor, gradients: Sequence[tf.Tensor | None], targets: dict[str, tf.Tensor]
    ) -> None:
        """Has the watch look at a step; loss scaling mends gradients that overflow by itself."""
        is_scaled = self.config.train.precision == "mixed_float16"
        videos = tf.where(targets["mask"] > 0, targets["video"], -1)
        self.watch.observe(loss, () if is_scaled else gradients, videos)

    def aggregate_logs(self, state: Any, step_logs: dict[str, tuple[tf.Tensor, ...]]) -> dict:
        """Keeps a batch's scores, unless the run is to stop: one process alone may do so at once."""
        if self._stop.arrived and not is_one_of_many(tf.distribute.get_strategy()):
            raise StoppedError("evaluation")
        return super().aggregate_logs(state, step_logs)


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

    def _build_trainer(self, task: TrainedTask, train: bool, evaluate: bool) -> Trainer:
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
    """Sends what Orbit prints to a log file, so that the screen shows progress alone."""
    with open(path, "a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        yield
