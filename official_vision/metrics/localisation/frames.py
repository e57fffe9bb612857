"""Scores and labels of all stored frames of videos, put together from windows (numpy only)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from official_vision.metrics.localisation.points import point_times
from official_vision.metrics.localisation.windows import ScoreMerger, smoothed


@dataclasses.dataclass(frozen=True)
class ScoredFrames:
    """The frames of one video.

    Attributes:
      scores: float32 [frames, classes].
      labels: bool [frames, classes].
      times_sec: float64 [frames + 1], when each frame begins and the last one ends.
    """

    scores: np.ndarray
    labels: np.ndarray
    times_sec: np.ndarray

    def at_points(self, length_sec: float) -> np.ndarray:
        """Returns the scores [25, classes] of the points of a video of that length.

        A point takes the frame that is shown at its time, and the last one behind the video's end.
        """
        shown = np.searchsorted(self.times_sec, point_times(length_sec), side="right") - 1
        return self.scores[np.clip(shown, 0, len(self.scores) - 1)]


class FrameCollector:
    """Merges the windows of videos in whatever order they come; a video is let go once it is whole."""

    def __init__(
        self,
        frames: Sequence[int],
        starts: Sequence[Sequence[int]],
        window: int,
        merge: str,
        smoothing_sec: float = 0.0,
    ):
        """Args:
        frames: of each video.
        starts: of each video's windows.
        window: stored frames that a window spans.
        merge: of windows, see ScoreMerger.add_window.
        smoothing_sec: width of a moving average over the scores; 0 for none.
        """
        self._frames, self._starts = frames, starts
        self._window, self._merge, self._smoothing_sec = window, merge, smoothing_sec
        self._open: dict[int, _Video] = {}

    def add(self, rows: Mapping[str, np.ndarray]) -> Iterator[tuple[int, ScoredFrames]]:
        """Takes the windows of a batch, and yields (row of the video, frames) of those that are whole now.

        Args:
          rows: of each window: mask, video (its row), start, shown int [time] (the video's frames that the network
            saw), scores [classes], frame_scores [time, classes]; of all stored frames that it spans, of which those
            behind the video's end are filling: labels [window, classes] and times [window + 1].
        """
        for number in np.flatnonzero(rows["mask"] > 0):
            row = {name: values[number] for name, values in rows.items()}
            position = int(row["video"])
            video = self._open.setdefault(
                position, _Video(self._frames[position], row["labels"].shape[1])
            )
            video.add(row, self._window, self._merge)
            if video.windows == len(self._starts[position]):
                yield position, video.result(self._smoothing_sec)
                del self._open[position]


class _Video:
    def __init__(self, frames: int, classes: int):
        self.windows = 0
        self._merger = ScoreMerger(classes)
        self._labels = np.zeros((frames, classes), bool)
        self._times = np.zeros(frames + 1)

    def add(self, row: Mapping[str, np.ndarray], window: int, merge: str) -> None:
        self._merger.add_window(window, row["shown"], row["scores"], row["frame_scores"], merge)
        first = int(row["start"])
        count = min(window, len(self._labels) - first)
        self._labels[first : first + count] = row["labels"][:count] > 0
        self._times[first : first + count + 1] = row["times"][: count + 1]
        self.windows += 1

    def result(self, smoothing_sec: float) -> ScoredFrames:
        scores = smoothed(self._merger.scores(len(self._labels)), self._times, smoothing_sec)
        return ScoredFrames(scores, self._labels, self._times)
