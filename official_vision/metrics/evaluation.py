"""Figures of merit from all scores of an evaluation, exact rather than binned (numpy only).

Every figure is computed from how often each video counts: once each for the figure, as often
as it was drawn for a bootstrap's (metrics/bootstrap.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from official_vision.errors import UserError
from official_vision.metrics.charades_map import is_charades, official_ranks
from official_vision.metrics.class_bands import NAMES, ClassBand
from official_vision.metrics.ranking import Ranking

_ALWAYS = ("mAP", "weighted_mAP", "top_1", "top_5")
_CHARADES = ("charades_mAP", "charades_weighted_mAP")
_SINGLE_LABEL = ("mean_class_accuracy",)


def figure_names(
    *, single_label: bool, charades: bool = False, banded: bool = False
) -> tuple[str, ...]:
    """Returns the names of the figures of an evaluation, in the order of printing.

    Args:
      single_label: each video has exactly one class.
      charades: the classes are those of Charades.
      banded: there are bands of classes (metrics/class_bands.py).
    """
    names = _SINGLE_LABEL if single_label else _CHARADES if charades else ()
    of_classes = ("mAP", *_SINGLE_LABEL) if single_label else ("mAP",)
    of_bands = (f"{name}_{band}" for name in of_classes if banded for band in NAMES)
    return (*_ALWAYS, *names, *of_bands)


def average_precision(scores: np.ndarray, positives: np.ndarray) -> float:
    """Computes the average precision of one class, as scikit-learn defines it.

    AP = sum_n (R_n - R_{n-1}) P_n over the distinct scores, greatest first; ties count together.

    Args:
      scores: float [videos].
      positives: bool or 0/1 [videos].

    Returns:
      0..1, or NaN without a positive.
    """
    return float(Ranking(scores, positives).average_precision(np.ones((len(scores), 1)))[0])


def right_within(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Returns whether a right class is among the k greatest scores, bool [videos]; arguments are [videos, classes].

    Of equal scores the earlier class is taken first. A video without labels is never right.
    """
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(labels > 0, best, axis=1).any(axis=1)


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts (true class, predicted class): int [classes, classes], rows are the true ones.

    Args:
      scores: [videos, classes]; the greatest is the prediction, the earlier class of equal ones.
      labels: one-hot [videos, classes]; a video without a label counts nowhere.
    """
    classes = labels.shape[1]
    labelled = (labels > 0).any(axis=1)
    truth, predicted = labels[labelled].argmax(axis=1), scores[labelled].argmax(axis=1)
    counts = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


class Figures:
    """Computes the figures of one set of scores, with any weights of the videos.

    What doesn't depend on that (the rankings, which videos are right) is computed once.
    """

    def __init__(
        self,
        scores: np.ndarray,
        labels: np.ndarray,
        *,
        single_label: bool,
        charades: bool = False,
        bands: Sequence[ClassBand] = (),
    ):
        """Args:
        scores: [videos, classes], greater for likelier classes.
        labels: multi-hot, or one-hot for single_label, [videos, classes].
        single_label: each video has exactly one class.
        charades: adds the figures of Charades' official scoring, which has several labels per video.
        bands: of classes; adds the means over the classes of each.
        """
        self._bands = bands
        self._positives = labels > 0
        self._rankings = _rankings(scores, self._positives)
        self._right = {
            f"top_{k}": right_within(scores, labels, k).astype(np.float64) for k in (1, 5)
        }
        self._single_label = single_label
        self._charades = charades and not single_label
        if self._charades:
            ranks = official_ranks(scores, labels)
            self._official_rankings = _rankings(ranks, self._positives)

    def recalls(self, counts: np.ndarray) -> np.ndarray:
        """Returns the share of each class's videos whose greatest score is right, float64 [classes, draws].

        NaN for a class that has no video; `counts` as for `of`.
        """
        right = self._positives * self._right["top_1"][:, np.newaxis]
        return _ratio(right.T @ counts, self._positives.T @ counts)

    def of(self, counts: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Computes all figures for each draw.

        Args:
          counts: float64 [videos, draws], how often each video counts.

        Returns:
          Figures by name, each float64 [draws], and each class's average precision, float64
          [classes, draws]. mAP: mean over classes that have a positive. weighted_mAP: weighted by
          their positives. top_1, top_5: share of videos with a right class so high. For one label a
          video, mean_class_accuracy: mean of `recalls`. For Charades, charades_mAP and
          charades_weighted_mAP: by its official scoring. mAP_tail and the like: over a band's classes.
        """
        positives = self._positives.T @ counts
        precisions = _precisions(self._rankings, counts)
        values = {
            "mAP": _mean(precisions),
            "weighted_mAP": _weighted_mean(precisions, positives),
            **{name: right @ counts / counts.sum(axis=0) for name, right in self._right.items()},
        }
        of_classes = {"mAP": precisions}
        if self._single_label:
            of_classes["mean_class_accuracy"] = self.recalls(counts)
            values["mean_class_accuracy"] = _mean(of_classes["mean_class_accuracy"])
        if self._charades:
            official = _precisions(self._official_rankings, counts)
            values["charades_mAP"] = _mean(official)
            values["charades_weighted_mAP"] = _weighted_mean(official, positives)
        for name, rows in of_classes.items():
            for band in self._bands:
                values[f"{name}_{band.name}"] = _mean(rows[list(band.classes)])
        return values, precisions


def _rankings(scores: np.ndarray, positives: np.ndarray) -> list[Ranking]:
    return [Ranking(scores[:, c], positives[:, c]) for c in range(scores.shape[1])]


def _precisions(rankings: list[Ranking], counts: np.ndarray) -> np.ndarray:
    return np.stack([ranking.average_precision(counts) for ranking in rankings])


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """Returns the mean over classes of those that are known."""
    return _weighted_mean(values, np.ones_like(values))


def _weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return _ratio(np.where(known, values * weights, 0).sum(0), np.where(known, weights, 0).sum(0))


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """One row of the table of classes.

    Attributes:
      name: of the class.
      average_precision: 0..1; NaN without a positive.
      base_rate: share of videos with the class: the expected AP of a random ranking.
      positives: videos with the class.
      accuracy: share of its videos whose greatest score is right, NaN without one; None where a
        video can have several labels.
    """

    name: str
    average_precision: float
    base_rate: float
    positives: int
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
      classes: a row per class, in the data's order.
      figures: name -> value, the names of `figure_names`.
      videos: that were evaluated.
      confusion: for one label per video, int [classes, classes], rows are the true classes.
      bands: of classes, where they differ much in frequency.
    """

    classes: tuple[ClassResult, ...]
    figures: Mapping[str, float]
    videos: int
    confusion: np.ndarray | None = None
    bands: tuple[ClassBand, ...] = ()


def evaluate_scores(
    scores: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    single_label: bool = False,
    bands: Sequence[ClassBand] = (),
) -> Evaluation:
    """Computes every figure.

    Args:
      scores: [videos, classes] after sigmoid or softmax.
      labels: multi-hot [videos, classes], one-hot for single_label.
      class_names: of the columns.
      single_label: each video has exactly one class.
      bands: of classes.

    Returns:
      The evaluation; mAP leaves out classes without a positive.

    Raises:
      UserError: a score is not a number.
    """
    _check_numbers(scores)
    charades = is_charades(class_names)
    figures = Figures(scores, labels, single_label=single_label, charades=charades, bands=bands)
    once = np.ones((len(scores), 1))
    values, precisions = figures.of(once)
    recalls = figures.recalls(once)[:, 0] if single_label else None
    positives = (labels > 0).sum(axis=0)
    rows = tuple(
        ClassResult(
            name,
            float(precisions[c, 0]),
            float(positives[c] / len(scores)),
            int(positives[c]),
            None if recalls is None else float(recalls[c]),
        )
        for c, name in enumerate(class_names)
    )
    return Evaluation(
        rows,
        {name: float(value[0]) for name, value in values.items()},
        len(scores),
        confusion_matrix(scores, labels) if single_label else None,
        tuple(bands),
    )


def _check_numbers(scores: np.ndarray) -> None:
    damaged = np.flatnonzero(np.isnan(scores).any(axis=1))
    if len(damaged):
        raise UserError(
            f"Scores must be numbers. Received: not a number for {len(damaged)} of {len(scores)} videos, the first "
            f"in row {damaged[0]}. Evaluate an earlier checkpoint; in training lower "
            "OptimizerSpec.learning_rate or clip gradients."
        )
