"""Shows and records a run in progress: progress, history, connections and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orbit
import tensorflow as tf

from official_vision.architecture.connections.connectivity import Learned
from official_vision.metrics.figures import scalars
from official_vision.training.job import Job
from official_vision.training.loggers.logger import EVALUATION, TRAINING
from official_vision.training.observation import summaries
from official_vision.training.observation import training_pictures as pictures
from official_vision.training.observation.connection_log import ConnectionLog, connections_of
from official_vision.training.observation.history import History
from official_vision.training.observation.run_report import write_report
from official_vision.training.observation.training_progress import Loop, TrainingProgress
from official_vision.training.trainer import Trainer


class Observer:
    """Gets every loop and evaluation, and reports it to the user, the run's folder and TensorBoard."""

    def __init__(
        self,
        job: Job,
        start_step: int,
        progress: TrainingProgress,
        trainer: Trainer,
        summary_managers: Mapping[str, orbit.utils.SummaryManager],
    ):
        """Args:
        job: the run.
        start_step: at which it goes on.
        progress: shows each loop.
        trainer: of the run.
        summary_managers: of the train and validation data: the controller's, since of two event files that grow
          in one folder TensorBoard shows one.
        """
        train = job.config.train
        self._config, self._indexes = job.config, job.indexes
        self._folder, self._log = job.records, job.log
        self._has_pictures = train.pictures and "tensorboard" in train.loggers
        self._step = start_step
        self._progress = progress
        self._trainer, self._summary_managers = trainer, summary_managers
        self._history = History(job.records, start_step, trainer.stopwatch, train.best_metric)
        self._connections = ConnectionLog(job.records, start_step, train.connections_interval)
        self._validation: tuple[pictures.Sample, ...] = ()

    def begin(self) -> None:
        """Records the settings, and the connections, the graph and training clips of a new run."""
        summaries.write_settings(self._train_writer(), self._config.to_gin(), self._step)
        if self._step:
            return
        learned = self._keep_connections()
        if self._has_pictures:
            summaries.write_search_pictures(self._train_writer(), learned)
            self._write_samples("train", self._samples("train"), {})

    def after_loop(self, output: Mapping[str, Any]) -> None:
        """Records a loop of steps: the trainer's output."""
        step = int(self._trainer.global_step.numpy())
        loop = Loop.of(output, step, step - self._step)
        self._step = step
        self._progress(loop)
        self._history.loop(loop)
        self._log.log(TRAINING, step, scalars(output))
        if self._connections.is_due(step, self._config.train.steps):
            self._keep_connections()

    def after_evaluation(self, output: Mapping[str, Any]) -> None:
        """Records an evaluation of the weights at this step: the trainer's output."""
        figures = scalars(output)
        self._progress.note(_evaluation_line(figures))
        scores, evaluation = self._trainer.task.evaluated
        self._history.evaluation(evaluation, figures)
        self._log.log(EVALUATION, self._step, figures)
        if not self._has_pictures:
            return
        if not self._validation:
            self._validation = self._samples("validation")
        by_id = dict(zip(scores.ids, scores.scores, strict=True))
        self._write_samples("validation", self._validation, by_id)
        learned = connections_of(self._trainer.model, self._step)
        summaries.write_search_pictures(self._train_writer(), learned)

    def end_early(self) -> None:
        """Records the connections of a run that ends before its last step."""
        if self._connections.is_due(self._step, self._step):
            self._keep_connections()

    def close(self) -> None:
        """Ends the records, also of a run that is stopped."""
        self._history.close()
        write_report(self._folder, self._config)

    def _keep_connections(self) -> Learned:
        learned = connections_of(self._trainer.model, self._step)
        self._connections.append(learned)
        summaries.write_connections(self._train_writer(), learned)
        return learned

    def _samples(self, split: str) -> tuple[pictures.Sample, ...]:
        training = split == "train"
        spec = self._config.train_data if training else self._config.validation_data
        streams = self._trainer.model.streams
        return pictures.take_samples(spec, self._indexes[split], streams, training=training)

    def _write_samples(
        self, split: str, samples: Sequence[pictures.Sample], scores: Mapping[str, np.ndarray]
    ) -> None:
        if not samples:  # all of them damaged
            return
        captions = [pictures.caption_of(sample, self._indexes[split], scores) for sample in samples]
        pixels = pictures.draw_samples(samples, captions)
        writer = self._summary_managers[split].summary_writer()
        summaries.write_picture(writer, f"samples/{split}", pixels, self._step)

    def _train_writer(self) -> tf.summary.SummaryWriter:
        return self._summary_managers["train"].summary_writer()


def _evaluation_line(figures: Mapping[str, float]) -> str:
    return "evaluated: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
