"""Finds the times at which a class is present by scores over time (numpy only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from official_vision.serving.predict.options import PredictOptions


@dataclasses.dataclass(frozen=True)
class Segment:
    """A time during which a class is present: seconds, and its greatest score."""

    label: str
    start_sec: float
    end_sec: float
    score: float


def segments(
    scores: np.ndarray, times_sec: np.ndarray, labels: Sequence[str], options: PredictOptions
) -> list[Segment]:
    """Returns the times at which classes are present, strongest first.

    A segment is a run of frames whose score is at least `threshold - hysteresis`, and reaches `threshold`
    in some of them: a score that wavers about the threshold makes one segment. Those shorter than
    `shortest_sec` are left out, unless they last the whole video.

    Args:
      scores: [frames, classes].
      times_sec: [frames + 1], each frame's start and the end of the last.
      labels: class names.
      options: with these three settings.
    """
    result = []
    least_sec = min(options.shortest_sec, times_sec[-1] - times_sec[0])
    for column, label in enumerate(labels):
        above = scores[:, column] >= options.threshold - options.hysteresis
        edges = np.flatnonzero(np.diff(np.concatenate([[False], above, [False]])))
        for first, stop in zip(edges[::2], edges[1::2], strict=True):
            greatest = float(scores[first:stop, column].max())
            start_sec, end_sec = float(times_sec[first]), float(times_sec[stop])
            # A microsecond: times of frames are sums and differences of rounded ones.
            if greatest >= options.threshold and end_sec - start_sec >= least_sec - 1e-6:
                result.append(Segment(label, start_sec, end_sec, greatest))
    return sorted(result, key=lambda segment: -segment.score)
