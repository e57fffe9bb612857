"""The best checkpoint of a run, and the figures by which it is the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from official_vision import formats
from official_vision.metrics.figures import scalars, with_nan, without_nan

INFO_FILE = "info.json"  # Model Garden's name
STEP_KEY = "best_ckpt_global_step"  # likewise


class BestExporter:
    """Keeps the best checkpoint of a run, in an order that never claims too much.

    The checkpoint is written first and its figures after it, at once: of a run killed in between the
    figures are older than the weights, and the evaluation that is repeated mends that. Model Garden's
    trainer calls `maybe_export_checkpoint` and reads `best_ckpt_logs` after each evaluation.
    """

    def __init__(self, folder: Path, metric: str, *, lower_is_better: bool):
        """Args:
        folder: of the best checkpoint; made where there is none.
        metric: the figure that decides.
        lower_is_better: whether a lower one is the better.
        """
        self._folder, self._metric, self._lower_is_better = folder, metric, lower_is_better
        self._manager: tf.train.CheckpointManager | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.best_ckpt_logs = self._read()

    def maybe_export_checkpoint(
        self, checkpoint: tf.train.Checkpoint, eval_logs: Mapping, global_step: int, **_: object
    ) -> bool:
        """Saves the checkpoint if its figures are the best so far; returns whether it did."""
        figures = {**scalars(eval_logs), STEP_KEY: float(global_step)}
        if not self._is_best(figures):
            return False
        if self._manager is None:
            self._manager = tf.train.CheckpointManager(
                checkpoint, str(self._folder), max_to_keep=1, checkpoint_name="best_ckpt"
            )
        self._manager.save(checkpoint_number=int(global_step))
        self.best_ckpt_logs = figures
        formats.BEST_CHECKPOINT.write(self._folder / INFO_FILE, without_nan(figures))
        return True

    def _is_best(self, figures: Mapping[str, float]) -> bool:
        before, name = self.best_ckpt_logs, self._metric
        # Of the same step when the run was killed before it had noted this evaluation.
        if before is None or before[STEP_KEY] == figures[STEP_KEY] or math.isnan(before[name]):
            return True
        if self._lower_is_better:
            return figures[name] < before[name]
        return figures[name] > before[name]

    def _read(self) -> dict[str, float] | None:
        path = self._folder / INFO_FILE
        number = (int, float, type(None))
        if not path.is_file():
            return None
        return with_nan(
            formats.BEST_CHECKPOINT.read(path, {STEP_KEY: number, self._metric: number})
        )
