"""Late fusion: the scores of several networks for the same videos, averaged (numpy only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from official_vision.errors import UserError
from official_vision.metrics.scores import VideoScores


def fuse(
    scored: Sequence[VideoScores], names: Sequence[str], weights: Sequence[float] | None = None
) -> VideoScores:
    """Averages probabilities.

    Args:
      scored: at least one; the same videos in any order.
      names: what errors call each of them.
      weights: how much each counts, in proportion; None for all alike.

    Returns:
      The weighted mean, videos in the order of the first.

    Raises:
      UserError: unfit weights, or scores that differ in classes, videos or labels: the first difference.
    """
    shares = _shares(names, weights)
    first, total = scored[0], np.zeros(scored[0].scores.shape)
    for other, name, share in zip(scored, names, shares, strict=True):
        total += share * _aligned(first, other, names[0], name)
    return dataclasses.replace(first, scores=total)


def _shares(names: Sequence[str], weights: Sequence[float] | None) -> np.ndarray:
    weights = np.ones(len(names)) if weights is None else np.asarray(weights, np.float64)
    fit = len(weights) == len(names) and np.isfinite(weights).all() and (weights >= 0).all()
    if not fit or not weights.sum():
        raise UserError(
            f"There must be a weight for each of the {len(names)} files, none negative and not all 0. "
            f"Received: {', '.join(f'{weight:g}' for weight in weights)}. Change --weights."
        )
    return weights / weights.sum()


def _aligned(first: VideoScores, other: VideoScores, first_name: str, name: str) -> np.ndarray:
    """Returns the other's scores with its videos in the first's order."""
    if difference := _difference(first, other):
        raise UserError(
            f"Scores that are fused must be for the same classes, videos and labels. Received: {first_name} and "
            f"{name}, {difference}. Evaluate both on the same data."
        )
    row_of = {video: row for row, video in enumerate(other.ids)}
    rows = np.array([row_of[video] for video in first.ids])
    unlike = np.argwhere(first.labels != other.labels[rows])
    if len(unlike):
        row, column = unlike[0]
        having, lacking = (first_name, name) if first.labels[row, column] else (name, first_name)
        raise UserError(
            f"Scores that are fused must be for the same classes, videos and labels. Received: {first_name} and "
            f"{name}; video {first.ids[row]!r} has the label {first.classes[column]!r} in {having} and not in "
            f"{lacking}. Evaluate both on the same data, with the same DataSpec.label_rule."
        )
    return other.scores[rows]


def _difference(first: VideoScores, other: VideoScores) -> str:
    """Describes the first difference in activation, classes or videos; empty when there is none."""
    if first.activation != other.activation:
        return f"whose activations are {first.activation} and {other.activation}"
    if len(first.classes) != len(other.classes):
        return f"which have {len(first.classes)} and {len(other.classes)} classes"
    for number, (one, two) in enumerate(zip(first.classes, other.classes, strict=True)):
        if one != two:
            return f"whose classes {number} are {one!r} and {two!r}"
    for video in sorted(set(first.ids) ^ set(other.ids)):
        return (
            f"of which the {'first' if video in first.ids else 'second'} alone has video {video!r}"
        )
    return ""
