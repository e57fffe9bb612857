"""Charades' official localisation: 25 equally spaced points of each video (numpy only).

`Charades_v1_localize.m`, which comes with the data set, ranks all points of all videos together, class by class. It
has no rule for videos without actions: what is scored for them can be a false positive, other than in classification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from official_vision.metrics.localisation.precision import Precision, precision_of_ranks

POINTS = 25

Action = tuple[int, float, float]


def point_times(length_sec: float) -> np.ndarray:
    """Returns the seconds of a video's points, float64 [25]: the first at 0, the last a step before the end."""
    return np.arange(POINTS) / POINTS * length_sec


def point_labels(length_sec: float, actions: Sequence[Action], num_classes: int) -> np.ndarray:
    """Returns which classes each point shows, bool [25, classes].

    Args:
      length_sec: of the video as its annotation states it.
      actions: (class index, start, end) in seconds as stated; both ends count.
      num_classes: classes.
    """
    times = point_times(length_sec)
    labels = np.zeros((POINTS, num_classes), bool)
    for number, start, end in actions:
        labels[(start <= times) & (times <= end), number] = True
    return labels


def judge_points(
    truth: Sequence[tuple[str, float, Sequence[Action]]],
    scores: Mapping[str, np.ndarray],
    num_classes: int,
) -> Precision:
    """Computes the official figures.

    Args:
      truth: id, length and actions of every video, in the order of the ground truth's file, by which equal scores
        are ranked.
      scores: [25, classes] by a video's id; a video that is missing, and a point of -inf, ranks behind all others.
      num_classes: classes.
    """
    missing = np.full((POINTS, num_classes), -np.inf)
    labels = [point_labels(length, actions, num_classes) for _, length, actions in truth]
    rows = [scores.get(video, missing) for video, _, _ in truth]
    return precision_of_ranks(np.concatenate(rows), np.concatenate(labels))
