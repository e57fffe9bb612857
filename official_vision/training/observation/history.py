"""The record of a run over all its interruptions: history.jsonl, and the best evaluation in full."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from official_vision import formats
from official_vision.metrics.evaluation import Evaluation
from official_vision.metrics.figures import without_nan
from official_vision.training.observation.jsonlines import JsonLines
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.observation.training_progress import Loop

HISTORY_FILE = "history.jsonl"
BEST_EVALUATION_FILE = "best_evaluation.json"
BEST_FIELDS = {"step": int, "classes": list, "confusion": (list, type(None))}  # of it
REDONE = "redone steps"  # lost by interruptions between checkpoints


class History:
    """Writes one line per loop and per evaluation, each with the seconds since the line before."""

    def __init__(self, folder: Path, start_step: int, stopwatch: Stopwatch, metric: str):
        """Args:
        folder: of the run.
        start_step: at which it goes on; lines of later steps are dropped, but their time counts.
        stopwatch: of the run's time by activity.
        metric: figure of the best evaluation; of a loss, the lowest.
        """
        self._folder, self._stopwatch, self._metric = folder, stopwatch, metric
        self._sign = -1.0 if "loss" in metric else 1.0
        self._lines = JsonLines(folder / HISTORY_FILE, start_step)
        self._step = start_step
        figures = [_figure(r, metric) for r in self._lines.records if r["kind"] == "evaluation"]
        self._best = max(
            (self._sign * value for value in figures if value is not None), default=None
        )
        if start_step:
            seconds = sum(sum(record["seconds"].values()) for record in self._lines.dropped)
            self._lines.append(
                {"kind": "resumed", "step": start_step, "seconds": {REDONE: seconds}}
            )

    def loop(self, loop: Loop) -> None:
        """Records a loop of steps."""
        self._step = loop.step
        self._append(
            "loop",
            loss=without_nan(loop.loss),
            added_losses=without_nan(dict(loop.added)),
            steps=loop.steps,
            loop_seconds=loop.seconds,
            learning_rates=dict(loop.learning_rates),
        )

    def evaluation(self, evaluation: Evaluation, figures: Mapping[str, float]) -> None:
        """Records an evaluation, and stores the best one's table of classes and confusion.

        Args:
          evaluation: of the weights at this step.
          figures: its figures with validation_loss.
        """
        record = without_nan(figures)
        self._append("evaluation", figures=record, videos=evaluation.videos)
        value = record.get(self._metric)
        if value is not None and (self._best is None or self._sign * value > self._best):
            self._best = self._sign * value
            formats.BEST_EVALUATION.write(
                self._folder / BEST_EVALUATION_FILE, self._in_full(evaluation)
            )

    def close(self) -> None:
        """Records the time since the last line."""
        self._append("closed")

    def _append(self, kind: str, **values: Any) -> None:
        seconds = {name: round(value, 4) for name, value in self._stopwatch.take().items()}
        self._lines.append({"kind": kind, "step": self._step, "seconds": seconds, **values})

    def _in_full(self, evaluation: Evaluation) -> dict[str, Any]:
        confusion = evaluation.confusion
        return {
            "step": self._step,
            "classes": [
                {
                    "name": row.name,
                    "average_precision": without_nan(row.average_precision),
                    "base_rate": row.base_rate,
                    "positives": row.positives,
                    "accuracy": without_nan(row.accuracy),
                }
                for row in evaluation.classes
            ],
            "confusion": None if confusion is None else confusion.tolist(),
        }


def _figure(record: Mapping[str, Any], metric: str) -> float | None:
    return record["figures"].get(metric)
