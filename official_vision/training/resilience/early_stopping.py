"""Early stopping: a run ends when a figure has not improved for a number of evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from official_vision.errors import UserError
from official_vision.specs import TrainSpec
from official_vision.training.observation.history import HISTORY_FILE
from official_vision.training.observation.jsonlines import read_lines


def check_figure(train: TrainSpec, figures: Sequence[str]) -> None:
    """Refuses a figure that evaluations of this run don't have.

    Args:
      train: names it.
      figures: that they have.

    Raises:
      UserError: it is none of them.
    """
    name = train.early_stopping_figure
    if name and name not in figures:
        raise UserError(
            f"TrainSpec.early_stopping_figure must be a figure of this run's evaluations. Received: {name!r}. "
            f"There are: {', '.join(figures)}."
        )


def is_lower_better(figure: str, mode: str = "auto") -> bool:
    """Returns whether a smaller value of a figure is the better; mode auto takes so for a loss."""
    return mode == "min" or (mode == "auto" and "loss" in figure)


def without_improvement(
    values: Sequence[float], *, lower_is_better: bool, min_delta: float
) -> tuple[int, int]:
    """Counts evaluations since the best one.

    A value is an improvement if it is better than the best before by more than `min_delta`. NaN never is.

    Args:
      values: of a figure, in the order of evaluations.
      lower_is_better: else a greater one is.
      min_delta: at least 0, in the figure's unit.

    Returns:
      The number of evaluations after the last improvement, and its place in `values`, -1 if there was none.
    """
    sign = -1.0 if lower_is_better else 1.0
    best, place = -math.inf, -1
    for number, value in enumerate(values):
        if sign * value > best + (min_delta if place >= 0 else 0.0):
            best, place = sign * value, number
    return len(values) - 1 - place, place


class EarlyStopping:
    """Decides after each evaluation whether a run is over, from all of its evaluations.

    These are read from the run's history, so that a resumed run decides as one that was not interrupted.
    Evaluations of steps after the checkpoint that it resumes from don't count: they are made again.
    """

    def __init__(self, train: TrainSpec, start_step: int):
        """Args:
        train: of the run; all of its workers see the same model_dir.
        start_step: at which it goes on.
        """
        self._patience = train.early_stopping_patience
        self._figure = train.early_stopping_figure or train.best_metric
        self._min_delta = train.early_stopping_min_delta
        self._lower_is_better = is_lower_better(self._figure, train.early_stopping_mode)
        self._values: dict[int, float] = {}
        for record in read_lines(Path(train.model_dir) / HISTORY_FILE):
            if record.get("kind") == "evaluation" and record["step"] <= start_step:
                self.observe(record["step"], record["figures"])

    def observe(self, step: int, figures: Mapping[str, float | None]) -> None:
        """Adds an evaluation; one that is made again replaces the first.

        Args:
          step: of the weights.
          figures: by name; None, as records have it, is NaN.
        """
        value = figures.get(self._figure)
        self._values[step] = math.nan if value is None else float(value)

    def reason(self) -> str:
        """Returns why the run is over, in one line; empty while it is not."""
        if not self._patience:
            return ""
        steps, values = list(self._values), list(self._values.values())
        waited, place = without_improvement(
            values, lower_is_better=self._lower_is_better, min_delta=self._min_delta
        )
        if waited < self._patience:
            return ""
        if place < 0:
            return f"early stopping: {self._figure} was NaN in {waited} evaluations"
        improved = "fallen" if self._lower_is_better else "risen"
        by = f" by more than {self._min_delta:g}" if self._min_delta else ""
        return (
            f"early stopping: {self._figure} has not {improved}{by} in {waited} evaluations since "
            f"{values[place]:.4f} at step {steps[place]}"
        )
