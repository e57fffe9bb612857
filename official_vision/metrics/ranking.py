"""Videos ranked by one class's scores, and the average precision of that ranking (numpy only)."""

from __future__ import annotations

import numpy as np


class Ranking:
    """One class's ranking, sorted once, for any number of times that each video counts.

    AP = sum_n (R_n - R_{n-1}) P_n over the distinct scores, greatest first: scikit-learn's definition.
    Ties count together, so that their order doesn't matter. Only scores that a positive has matter;
    the videos between two such scores are counted in one sum.
    """

    def __init__(self, scores: np.ndarray, positives: np.ndarray):
        """Args:
        scores: float [videos], numbers or infinite.
        positives: bool or 0/1 [videos].
        """
        order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
        ordered = np.asarray(scores, np.float64)[order]
        hits = np.flatnonzero(np.asarray(positives, bool)[order])
        # The run of equal scores that each place belongs to, and the last place of each run.
        changes = ordered[1:] != ordered[:-1]
        run = np.append(0, np.cumsum(changes))
        ends = np.append(np.flatnonzero(changes), len(order) - 1)
        runs, self._first_hits = np.unique(run[hits], return_index=True)
        self._hits = order[hits]
        last = ends[runs]
        self._counted = order[: last[-1] + 1] if len(runs) else order[:0]
        self._starts = np.append(0, last[:-1] + 1)

    def average_precision(self, counts: np.ndarray) -> np.ndarray:
        """Returns the average precision for each draw, float64 [draws], NaN without a positive.

        Args:
          counts: float64 [videos, draws], how often each video counts.
        """
        if not len(self._hits):
            return np.full(counts.shape[1], np.nan)
        gains = np.add.reduceat(counts[self._hits], self._first_hits, axis=0)
        hits = np.cumsum(gains, axis=0)
        seen = np.cumsum(np.add.reduceat(counts[self._counted], self._starts, axis=0), axis=0)
        # No video yet: no hit either, 0 / 1.
        summed = np.sum(gains * hits / np.maximum(seen, 1), axis=0)
        total = hits[-1]
        return np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)


def ranks_in_order(scores: np.ndarray) -> np.ndarray:
    """Replaces scores by ranks, so that no two of a class are equal: of equal scores the earlier row ranks first.

    Args:
      scores: [rows, classes], numbers or infinite.

    Returns:
      float64 [rows, classes], the greatest for the row that ranks first.
    """
    order = np.argsort(-scores, axis=0, kind="stable")
    ranks = np.empty(scores.shape, np.float64)
    np.put_along_axis(ranks, order, -np.arange(len(scores), dtype=np.float64)[:, np.newaxis], 0)
    return ranks
