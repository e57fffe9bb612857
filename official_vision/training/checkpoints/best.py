"""The best checkpoint of a run, and the figures by which it is the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf
from official.core import train_utils

from official_vision import formats
from official_vision.metrics.figures import scalars, with_nan, without_nan

INFO_FILE = "info.json"  # Model Garden's name
STEP_KEY = "best_ckpt_global_step"  # likewise


class BestExporter(train_utils.BestCheckpointExporter):
    """Model Garden's manager of the best checkpoint, in an order that never claims too much.

    The checkpoint is written first and its figures after it, at once: of a run killed in between the
    figures are older than the weights, and the evaluation that is repeated mends that.
    """

    def maybe_export_checkpoint(
        self, checkpoint: tf.train.Checkpoint, eval_logs: dict, global_step: int, **_: object
    ) -> bool:
        """Saves the checkpoint if its figures are the best so far; returns whether it did."""
        figures = {**scalars(eval_logs), STEP_KEY: float(global_step)}
        if not self._is_best(figures):
            return False
        self._get_checkpoint_manager(checkpoint).save(checkpoint_number=int(global_step))
        self._best_ckpt_logs = figures
        formats.BEST_CHECKPOINT.write(self.best_ckpt_logs_path, without_nan(figures))
        return True

    def _is_best(self, figures: Mapping[str, float]) -> bool:
        before, (name,) = self._best_ckpt_logs, self._metric_name
        # Of the same step when the run was killed before it had noted this evaluation.
        if before is None or before[STEP_KEY] == figures[STEP_KEY] or math.isnan(before[name]):
            return True
        return self._new_metric_is_better(before, figures)

    def _maybe_load_best_eval_metric(self) -> dict[str, float] | None:
        path, (name,) = Path(self.best_ckpt_logs_path), self._metric_name
        number = (int, float, type(None))
        if not path.is_file():
            return None
        return with_nan(formats.BEST_CHECKPOINT.read(path, {STEP_KEY: number, name: number}))
