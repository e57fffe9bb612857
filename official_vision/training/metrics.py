"""Figures of merit from all scores of an evaluation, exact rather than binned (numpy only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np


def average_precision(scores: np.ndarray, positives: np.ndarray) -> float:
    """Average precision of one class, as scikit-learn defines it.

    AP = sum_n (R_n - R_{n-1}) P_n over the distinct scores, greatest first; ties count together.

    Args:
      scores: float [clips].
      positives: bool or 0/1 [clips].

    Returns:
      0..1, or NaN without a positive.
    """
    positives = np.asarray(positives, bool)
    if not positives.any():
        return float("nan")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    sorted_scores, hits = np.asarray(scores, np.float64)[order], positives[order]
    # The last position of each run of equal scores: a threshold takes the whole run.
    ends = np.append(np.flatnonzero(np.diff(sorted_scores)), len(hits) - 1)
    true_positives = np.cumsum(hits)[ends]
    precision = true_positives / (ends + 1)
    recall_gain = np.diff(np.append(0, true_positives)) / hits.sum()
    return float(np.sum(recall_gain * precision))


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of clips with a right class among the k greatest scores; [clips, classes] both."""
    k = min(k, scores.shape[1])
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return float(np.take_along_axis(labels > 0, best, axis=1).any(axis=1).mean())


def pool_views(
    scores: np.ndarray, labels: np.ndarray, videos: np.ndarray, pooling: str = "mean"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Merges the views of each video, after the forward pass.

    Args:
      scores: [views, classes] after sigmoid or softmax.
      labels: [views, classes]; a video's labels are the union over its views.
      videos: int [views], the video that each view belongs to.
      pooling: mean or max over a video's views.

    Returns:
      scores [videos, classes], labels [videos, classes] and the sorted video numbers.
    """
    numbers, owner = np.unique(videos, return_inverse=True)
    merged_labels = np.zeros((len(numbers), labels.shape[1]), labels.dtype)
    np.maximum.at(merged_labels, owner, labels)
    if pooling == "max":
        merged = np.full((len(numbers), scores.shape[1]), -np.inf, scores.dtype)
        np.maximum.at(merged, owner, scores)
    else:
        merged = np.zeros((len(numbers), scores.shape[1]), np.float64)
        np.add.at(merged, owner, scores)
        merged /= np.bincount(owner)[:, np.newaxis]
    return merged, merged_labels, numbers


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """One row of the table of classes.

    Attributes:
      name: of the class.
      average_precision: 0..1; NaN without a positive.
      base_rate: share of videos with the class: what a random ranking's AP comes to.
      positives: videos with the class.
    """

    name: str
    average_precision: float
    base_rate: float
    positives: int


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an evaluation found; `figures` holds mAP, top_1 and top_5."""

    classes: tuple[ClassResult, ...]
    figures: Mapping[str, float]
    videos: int


def evaluate_scores(
    scores: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> Evaluation:
    """Works out every figure.

    Args:
      scores: [videos, classes] after sigmoid or softmax.
      labels: multi-hot [videos, classes].
      class_names: of the columns.

    Returns:
      The evaluation; mAP leaves out classes without a positive.
    """
    rows = tuple(
        ClassResult(
            name,
            average_precision(scores[:, column], labels[:, column] > 0),
            float((labels[:, column] > 0).mean()),
            int((labels[:, column] > 0).sum()),
        )
        for column, name in enumerate(class_names)
    )
    precisions = [row.average_precision for row in rows if row.positives]
    figures = {
        "mAP": float(np.mean(precisions)) if precisions else float("nan"),
        "top_1": top_k_accuracy(scores, labels, 1),
        "top_5": top_k_accuracy(scores, labels, 5),
    }
    return Evaluation(rows, figures, len(scores))
