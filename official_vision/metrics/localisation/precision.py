"""Average precision of frames, class by class and over classes (numpy only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from official_vision.errors import UserError
from official_vision.metrics.ranking import Ranking, ranks_in_order


@dataclasses.dataclass(frozen=True)
class Precision:
    """The average precision of each class.

    Attributes:
      classes: float64 [classes], NaN for a class without a positive, which counts in no mean.
      positives: int [classes], rows that show the class.
      rows: that were ranked.
    """

    classes: np.ndarray
    positives: np.ndarray
    rows: int

    @property
    def mean(self) -> float:
        """The mean over classes; NaN where none has a positive."""
        known = self.classes[self.positives > 0]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def weighted_mean(self) -> float:
        """The mean over classes by their positives."""
        known = self.positives > 0
        if not known.any():
            return float("nan")
        return float(np.average(self.classes[known], weights=self.positives[known]))


def precision_of_ranks(scores: np.ndarray, labels: np.ndarray) -> Precision:
    """Computes the precision of [rows, classes] scores, where of equal ones the earlier row ranks first."""
    return precision_of([ranks_in_order(_checked(scores))], [labels])


def precision_of(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Precision:
    """Computes the precision over the rows of all videos, where equal scores count together.

    One class at a time is joined: a data set has millions of frames.

    Args:
      scores: of each video [frames, classes].
      labels: of each video bool [frames, classes].

    Raises:
      UserError: a score is not a number.
    """
    for part in scores:
        _checked(part)
    rows = sum(len(part) for part in scores)
    once = np.ones((rows, 1))
    precisions, positives = [], []
    for number in range(labels[0].shape[1]):
        hits = np.concatenate([part[:, number] for part in labels])
        ranking = Ranking(np.concatenate([part[:, number] for part in scores]), hits)
        precisions.append(ranking.average_precision(once)[0])
        positives.append(hits.sum())
    return Precision(np.array(precisions), np.array(positives, int), rows)


def _checked(scores: np.ndarray) -> np.ndarray:
    if np.isnan(scores).any():
        raise UserError(
            "Scores of frames must be numbers. Received: not a number. Evaluate an earlier checkpoint; of a "
            "submission mend the file."
        )
    return scores
