"""Frames from memory, a camera or a network, in the place of a video file."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from official_vision.data.video.decoding import Frame, in_span
from official_vision.data.video.display import Display
from official_vision.data.video.report import DecodingReport
from official_vision.data.video.source import VideoError


@dataclasses.dataclass(frozen=True)
class FrameSequence:
    """Frames with times, which are read once where they come from an iterator.

    Attributes:
      frames: (seconds, frame) pairs in order of time; a frame is uint8 [height, width, 3], rgb.
      name: for messages and results.
      last_sec: how long the last frame is shown; 0 where it is unknown.
      start_sec: the time that becomes 0; None takes the first frame's.
    """

    frames: Iterable[tuple[float, np.ndarray]]
    name: str = "frames"
    last_sec: float = 0.0
    start_sec: float | None = None

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of_array(cls, array: Any, fps: float, name: str = "array") -> FrameSequence:
        """Makes a sequence of an array.

        Args:
          array: uint8 [time, height, width, 3], rgb.
          fps: frames per second.
          name: for messages and results.

        Raises:
          VideoError: another shape or dtype, no frame, or a rate that is not above 0.
        """
        array = np.asarray(array)
        if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8 or not array.size:
            raise VideoError(
                "Frames must be an array uint8 [time, height, width, 3]. "
                f"Received: {array.dtype.name} {list(array.shape)}. Convert or reshape it."
            )
        if not (isinstance(fps, (int, float)) and 0 < fps < math.inf):
            raise VideoError(
                f"An array's frames need a rate above 0. Received: fps={fps!r}. Give fps=25 or the like."
            )
        return cls([(i / fps, frame) for i, frame in enumerate(array)], name, 1 / fps)

    def decoded(
        self,
        short_side: int | None = None,
        fps: float | None = None,
        start_sec: float | None = None,
        end_sec: float | None = None,
        report: DecodingReport | None = None,
    ) -> Iterator[Frame]:
        """Yields frames as `decode` does of a file; arguments as there.

        Raises:
          VideoError: a frame of another shape or dtype, times that don't rise, or no frame.
        """
        report = DecodingReport() if report is None else report
        return in_span(self._resized(short_side, report), fps, start_sec, end_sec)

    def _resized(self, short_side: int | None, report: DecodingReport) -> Iterator[Frame]:
        display, before, waiting = Display(None, short_side), -math.inf, None
        for number, (time_sec, rgb) in enumerate(self._checked()):
            if not before < time_sec < math.inf:
                raise VideoError(
                    f"{self.name}: frames' times must rise. Received: {time_sec} s after {before} s."
                )
            if waiting is not None:
                yield dataclasses.replace(waiting, duration_sec=time_sec - before)
            before = time_sec
            try:
                resized = display.rgb(VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24"))
            except ValueError as error:
                raise VideoError(f"{self.name}: {error}.") from error
            report.frames, report.sizes = number + 1, display.sizes
            waiting = Frame(resized, time_sec, number)
        if waiting is None:
            raise VideoError(f"{self.name}: there is no frame.")
        report.end_sec, report.ended = before + self.last_sec, True
        yield dataclasses.replace(waiting, duration_sec=self.last_sec)

    def _checked(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yields the pairs, of which times begin at 0, as a file's do."""
        first = self.start_sec
        for item in self.frames:
            try:
                time_sec, rgb = item
                seconds, rgb = float(time_sec), np.asarray(rgb)
            except (TypeError, ValueError) as error:
                raise VideoError(
                    f"{self.name}: frames must be pairs (seconds, frame). Received: {type(item).__name__}."
                ) from error
            if rgb.ndim != 3 or rgb.shape[-1] != 3 or rgb.dtype != np.uint8 or not rgb.size:
                raise VideoError(
                    f"{self.name}: a frame must be uint8 [height, width, 3]. "
                    f"Received: {rgb.dtype.name} {list(rgb.shape)}. Convert or reshape it."
                )
            first = seconds if first is None else first
            yield seconds - first, rgb
