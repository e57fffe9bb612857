"""Cuts a long video into overlapping windows, merges their scores again, and smooths them (numpy only)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
MERGES = ("windows", "frames")


def windows(items: Iterable[Item], length: int, stride: int) -> Iterator[tuple[int, list[Item]]]:
    """Yields (start, items) of every window, with one window in memory at a time.

    The last window ends with the last item, so that each item is in a window; a sequence shorter
    than `length` gives one short window.

    Args:
      items: any sequence, read once.
      length: items of a window.
      stride: from one window's start to the next; at most `length`.
    """
    clip: list[Item] = []
    count, next_start, last_start = 0, 0, None
    for item in items:
        clip.append(item)
        count += 1
        if len(clip) > length:
            clip.pop(0)
        if count - length == next_start:
            yield next_start, list(clip)
            last_start, next_start = next_start, next_start + stride
    if count and last_start != max(count - length, 0):
        yield max(count - length, 0), list(clip)


def window_starts(count: int, length: int, stride: int) -> list[int]:
    """Returns the starts of the windows that `windows` yields for `count` items."""
    last = max(count - length, 0)
    steps = math.ceil(last / stride)
    return [*range(0, steps * stride, stride), last] if count else []


class WindowPool:
    """Pools the video's scores from its windows' clip scores, in constant memory."""

    def __init__(self, pooling: str):
        """Args:
        pooling: mean, or max: the greatest score of any window.
        """
        self._pooling = pooling
        self._pooled: np.ndarray | None = None
        self._count = 0

    def add(self, scores: np.ndarray) -> None:
        """Adds [windows, classes], at least one window."""
        scores = np.asarray(scores, np.float64)
        pooled = scores.max(axis=0) if self._pooling == "max" else scores.sum(axis=0)
        if self._pooled is not None:
            pooled = (
                np.maximum(self._pooled, pooled)
                if self._pooling == "max"
                else self._pooled + pooled
            )
        self._pooled, self._count = pooled, self._count + len(scores)

    def scores(self) -> np.ndarray:
        """Returns float32 [classes]; at least one window must have been added."""
        pooled = self._pooled if self._pooling == "max" else self._pooled / self._count
        return pooled.astype(np.float32)


def centre_weights(length: int) -> np.ndarray:
    """Returns the weight of each frame of a window, float32 [length]: most at the centre, never 0.

    Windows that overlap by half then add up to 1 on every frame: scores lead in straight lines from one
    window's centre to the next.
    """
    places = (np.arange(length) + 0.5) / length
    return (1 - np.abs(2 * places - 1)).astype(np.float32)


class ScoreMerger:
    """Averages, frame by frame, the scores of all windows with a frame, and hands them on as they are final.

    Prediction and evaluation both merge by it, so that a frame has the same score in both.
    """

    def __init__(self, num_classes: int):
        self._sums = np.zeros((0, num_classes), np.float32)
        self._weights = np.zeros(0, np.float32)
        self._first = 0  # frame of the first row
        self._before: np.ndarray | None = None  # means of the frame before it

    def add(self, frames: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> None:
        """Adds one window's scores.

        Args:
          frames: int [n], the frame that each row belongs to; a frame may occur twice. None may be taken already.
          scores: [n, classes], or [classes] for all rows alike.
          weights: [n], what each row counts, above 0.
        """
        rows = frames - self._first
        length, needed = len(self._weights), int(rows.max()) + 1
        if needed > length:
            # Doubled, so that all frames of a long video are copied about once.
            missing = max(needed, 2 * length) - length
            self._sums = np.pad(self._sums, ((0, missing), (0, 0)))
            self._weights = np.pad(self._weights, (0, missing))
        np.add.at(self._sums, rows, weights[:, np.newaxis] * scores)
        np.add.at(self._weights, rows, weights)

    def add_window(
        self,
        length: int,
        frames: np.ndarray,
        clip_score: np.ndarray,
        frame_scores: np.ndarray,
        merge: str,
    ) -> None:
        """Adds a window's scores, which count most at its centre.

        Args:
          length: frames of the video that a window spans.
          frames: int [time], the video's frames that the network was shown, the first of which begins the window.
          clip_score: [classes], of the window.
          frame_scores: [time, classes].
          merge: windows: `clip_score` counts for all frames of the window; frames: each frame's score for itself.
        """
        weights = centre_weights(length)
        if merge == "windows":
            self.add(frames[0] + np.arange(length), clip_score, weights)
        else:
            self.add(frames, frame_scores, weights[frames - frames[0]])

    def scores(self, end: int) -> np.ndarray:
        """Returns the scores of the frames before `end` that have not been taken.

        A frame that no window scored takes the scores of the frame before it; the video's first must have been
        scored.

        Returns:
          [frames, classes].
        """
        count = end - self._first
        if count == 0:
            return self._sums[:0]
        known = np.flatnonzero(self._weights[:count])
        means = self._sums[known] / self._weights[known, np.newaxis]
        if self._before is not None:
            means, known = np.concatenate([self._before, means]), np.concatenate([[-1], known])
        return means[np.searchsorted(known, np.arange(count), side="right") - 1]

    def take(self, end: int) -> np.ndarray:
        """Returns what `scores` does, and forgets these frames.

        Args:
          end: a frame that no later window begins before.
        """
        scores, count = self.scores(end), end - self._first
        if count:
            self._first, self._before = end, scores[-1:]
            self._sums, self._weights = self._sums[count:].copy(), self._weights[count:].copy()
        return scores


def smoothed(scores: np.ndarray, times_sec: np.ndarray, width_sec: float) -> np.ndarray:
    """Averages scores over the time around the middle of each frame, which may last unequally long.

    Args:
      scores: [frames, classes].
      times_sec: [frames + 1], each frame's start and the end of the last.
      width_sec: of the time that is averaged over; what lies before or after the video is left out.

    Returns:
      float32 [frames, classes].
    """
    durations = np.diff(times_sec)
    if not width_sec or not (durations > 0).all():
        return scores
    middles = times_sec[:-1] + durations / 2
    # At least the frame: a width below a frame's duration changes nothing.
    reach = np.maximum(width_sec, durations) / 2
    starts = np.maximum(middles - reach, times_sec[0])
    ends = np.minimum(middles + reach, times_sec[-1])
    result = np.empty(scores.shape, np.float32)
    for column in range(scores.shape[1]):
        integral = np.concatenate([[0], np.cumsum(scores[:, column] * durations, dtype=np.float64)])
        whole = np.interp(ends, times_sec, integral) - np.interp(starts, times_sec, integral)
        result[:, column] = whole / (ends - starts)
    return result


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yields lists of `size` items; the last may have fewer."""
    batch = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
