"""The times of a video's frames."""

from __future__ import annotations

import array
from collections.abc import Iterable, Iterator

import numpy as np

from official_vision.data.video_streams import FrameStreams

_USUAL_STEP_SEC = 1 / 25  # of a video of one frame that has no duration


class FrameTimes:
    """Collects when each frame begins, in 8 bytes per frame."""

    def __init__(self) -> None:
        self._times = array.array("d")
        self._last_sec = 0.0  # that the last frame is shown; 0 where it is unknown

    def __len__(self) -> int:
        return len(self._times)

    def noting(self, frames: Iterable[FrameStreams]) -> Iterator[FrameStreams]:
        """Yields the frames, and adds each."""
        for frame in frames:
            self.add(frame)
            yield frame

    def add(self, frame: FrameStreams) -> None:
        """Adds the next frame."""
        self._times.append(frame.time_sec)
        self._last_sec = frame.duration_sec

    def with_end(self) -> np.ndarray:
        """Returns [frames + 1], each frame's start and the end of the last, in seconds."""
        steps = np.diff(self._times)
        last = self._last_sec or (float(np.median(steps)) if len(steps) else _USUAL_STEP_SEC)
        return np.array([*self._times, self._times[-1] + last])
