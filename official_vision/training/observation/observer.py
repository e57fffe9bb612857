"""Shows and records a run in progress: progress, history, connections and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import tensorflow as tf
from official.core import train_lib

from official_vision.architecture.connections.connectivity import Learned
from official_vision.config import Config
from official_vision.data.storage.index import Index
from official_vision.metrics.figures import scalars
from official_vision.training.observation import summaries
from official_vision.training.observation import training_pictures as pictures
from official_vision.training.observation.connection_log import ConnectionLog, connections_of
from official_vision.training.observation.history import History
from official_vision.training.observation.run_report import write_report
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.observation.training_progress import Loop, TrainingProgress


class Observer:
    """Gets every loop and evaluation, and reports it to the user, the run's folder and TensorBoard."""

    def __init__(
        self,
        config: Config,
        indexes: Mapping[str, Index],
        folder: Path,
        start_step: int,
        stream: TextIO,
    ):
        """Args:
        config: every setting.
        indexes: of the train and validation data.
        folder: of the run.
        start_step: at which it goes on.
        stream: shows progress.
        """
        train = config.train
        self.stopwatch = Stopwatch()
        self._config, self._indexes = config, indexes
        self._folder = folder
        self._step = start_step
        self._progress = TrainingProgress(
            start_step, train.steps, config.train_data.batch_size, stream
        )
        self._history = History(folder, start_step, self.stopwatch, train.best_metric)
        self._connections = ConnectionLog(folder, start_step, train.connections_interval)
        self._runner: train_lib.OrbitExperimentRunner | None = None
        self._validation: tuple[pictures.Sample, ...] = ()

    def note(self, text: str) -> None:
        """Shows a line."""
        self._progress.note(text)

    def watch(self, runner: train_lib.OrbitExperimentRunner) -> None:
        """Begins to observe a runner.

        Of a new run the connections, the graph and training clips are recorded at once.
        """
        self._runner = runner
        if self._step:
            return
        learned = self._keep_connections()
        if self._config.train.pictures:
            summaries.write_search_pictures(self._train_writer(), learned)
            self._write_samples("train", self._samples("train"), {})

    def after_loop(self, output: Mapping[str, Any]) -> None:
        """Records a loop of steps: the trainer's output."""
        step = int(self._runner.trainer.global_step.numpy())
        loop = Loop.of(output, step, step - self._step)
        self._step = step
        self._progress(loop)
        self._history.loop(loop)
        if self._connections.is_due(step, self._config.train.steps):
            self._keep_connections()

    def after_evaluation(self, output: Mapping[str, Any]) -> None:
        """Records an evaluation of the weights at this step: the trainer's output."""
        figures = scalars(output)
        self.note(_evaluation_line(figures))
        scores, evaluation = self._runner.trainer.task.evaluated
        self._history.evaluation(evaluation, figures)
        if not self._config.train.pictures:
            return
        if not self._validation:
            self._validation = self._samples("validation")
        by_id = dict(zip(scores.ids, scores.scores, strict=True))
        self._write_samples("validation", self._validation, by_id)
        learned = connections_of(self._runner.trainer.model, self._step)
        summaries.write_search_pictures(self._train_writer(), learned)

    def close(self) -> None:
        """Ends the bar and the records, also of a run that is stopped."""
        self._progress.close()
        self._history.close()
        write_report(self._folder, self._config)

    def _keep_connections(self) -> Learned:
        learned = connections_of(self._runner.trainer.model, self._step)
        self._connections.append(learned)
        summaries.write_connections(self._train_writer(), learned)
        return learned

    def _samples(self, split: str) -> tuple[pictures.Sample, ...]:
        training = split == "train"
        spec = self._config.train_data if training else self._config.validation_data
        streams = self._runner.trainer.model.streams
        return pictures.take_samples(spec, self._indexes[split], streams, training=training)

    def _write_samples(
        self, split: str, samples: Sequence[pictures.Sample], scores: Mapping[str, np.ndarray]
    ) -> None:
        if not samples:  # all of them damaged
            return
        captions = [pictures.caption_of(sample, self._indexes[split], scores) for sample in samples]
        pixels = pictures.draw_samples(samples, captions)
        controller = self._runner.controller
        managers = {
            "train": controller.summary_manager,
            "validation": controller.eval_summary_manager,
        }
        summaries.write_picture(
            managers[split].summary_writer(), f"samples/{split}", pixels, self._step
        )

    def _train_writer(self) -> tf.summary.SummaryWriter:
        # The controller's writer: of two files that grow in one folder TensorBoard shows one.
        return self._runner.controller.summary_manager.summary_writer()


def _evaluation_line(figures: Mapping[str, float]) -> str:
    return "evaluated: " + "  ".join(f"{name} {value:.4f}" for name, value in figures.items())
