"""What every logger does with a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

TRAINING, EVALUATION = "train", "validation"  # as Orbit's folders of summaries are named
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"  # how a run ended


class Logger(Protocol):
    """Writes a run's figures somewhere. Any of its methods may raise: the caller then goes on without it.

    Attributes:
      name: as TrainSpec.loggers has it.
    """

    name: str

    def resume(self, step: int) -> None:
        """Goes on at a step, 0 for a new run: steps after it will be logged again."""

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Logs the figures of one point.

        Args:
          kind: TRAINING or EVALUATION.
          step: of the weights.
          values: by name; they may be NaN.
        """

    def close(self, outcome: str) -> None:
        """Ends the log of this process; `outcome` is FINISHED, STOPPED or FAILED."""
