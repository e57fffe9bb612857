"""Scores of a video while it arrives: one result for each window, within a bounded delay and in bounded memory."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import os
import time
from collections.abc import Iterable, Iterator

import numpy as np

from official_vision.data.video import DecodingReport, Frame, FrameSequence, decode
from official_vision.data.video.live import decode_live, live_address
from official_vision.data.video_streams import FrameStreams
from official_vision.metrics.localisation.windows import windows
from official_vision.serving.live.frame_queue import FrameQueue
from official_vision.serving.live.options import LiveCounts, LiveOptions
from official_vision.serving.live.reading import Connect, Reading
from official_vision.serving.predict.predictor import Predictor

Pairs = Iterable[tuple[float, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class WindowScores:
    """The scores of one window.

    Attributes:
      start_sec, end_sec: the window, in seconds from the first frame.
      scores: [classes], of its clip.
      delay_sec: from the arrival of the newest frame that the result waited for.
    """

    start_sec: float
    end_sec: float
    scores: np.ndarray
    delay_sec: float


class LiveStream:
    """The results of one live video, as an iterator that can be used once.

    A window is scored once two frames behind it are there, three where frames are re-timed, or as many as object
    ids are computed for at once. In real time, a machine that is too slow skips windows: a window is left out while
    more frames wait than lie between two windows. Where frames come faster than they can be prepared even so, all
    that wait are dropped once they are `held_windows`, and windows begin anew behind the hole: none has a hole in it.

    Attributes:
      counts: what became of frames and windows so far.
    """

    def __init__(
        self,
        predictor: Predictor,
        source: str | os.PathLike | Pairs,
        options: LiveOptions | None = None,
    ):
        """Args:
        predictor: of an exported file.
        source: see `official_vision.Predictor.stream`.
        options: of the stream.
        """
        self._predictor = predictor
        self._options = options or LiveOptions()
        self.counts = LiveCounts()
        connect, waits, endless = self._connection(source)
        real_time = self._options.real_time
        self._drops = not waits if real_time is None else real_time
        capacity = math.ceil(self._options.held_windows * predictor.window_frames)
        self._queue = FrameQueue(capacity, self._drops, self.counts)
        self._begin = functools.partial(
            Reading, connect, self._queue, self.counts, self._options, endless
        )

    def __iter__(self) -> Iterator[WindowScores]:
        """Yields results until the video ends.

        Raises:
          VideoError: no frame could be read.
        """
        reading = self._begin()
        try:
            for number, stretch in enumerate(self._queue.stretches()):
                yield from self._scored(stretch, is_first=number == 0)
        finally:
            reading.stop()

    def _connection(self, source: str | os.PathLike | Pairs) -> tuple[Connect, bool, bool]:
        """Returns how the video is opened, whether its sender waits, and whether its end is a loss."""
        short_side = self._predictor.description.preparation.short_side
        if not isinstance(source, (str, os.PathLike)):
            sequence = source if isinstance(source, FrameSequence) else FrameSequence(source)
            return lambda report: sequence.decoded(short_side, report=report), True, False
        address = live_address(source)
        if address is None:
            return lambda report: decode(source, short_side, report=report), True, False
        timeout = self._options.timeout_sec
        return (
            lambda report: decode_live(address, short_side, timeout, report),
            address.waits,
            address.endless,
        )

    def _scored(self, stretch: Iterator[Frame], is_first: bool) -> Iterator[WindowScores]:
        """Yields the results of a stretch without a hole."""
        predictor, first = self._predictor, next(stretch, None)
        if first is None:
            return
        sharer, due = predictor.stem_sharer(), _Due()
        # The first stretch keeps the times of its file: a frame rate's ticks are counted from there.
        start = 0.0 if is_first else first.time_sec
        frames = FrameSequence(_pairs(first, stretch), start_sec=start)
        streams = predictor.feeder.streams(frames, report=DecodingReport())
        cut = windows(streams, predictor.window_frames, predictor.stride)
        with contextlib.closing(predictor.feeder.clips(self._chosen(cut, due, is_first))) as clips:
            for clip in clips:
                scores = predictor.scores_of([clip], sharer)["scores"][0]
                self.counts.windows += 1
                delay = time.monotonic() - self._queue.newest_sec
                yield WindowScores(start + due.begin_sec, start + due.end_sec, scores, delay)

    def _chosen(
        self, cut: Iterator[tuple[int, list[FrameStreams]]], due: _Due, is_first: bool
    ) -> Iterator[tuple[int, list[FrameStreams]]]:
        """Yields the windows that are scored, and notes the times of each."""
        for start, window in cut:
            # A short window is the whole video's, or the rest between two holes.
            if len(window) < self._predictor.window_frames and not (
                is_first and self._queue.is_over
            ):
                continue
            if self._drops and self._queue.waiting > self._predictor.stride:
                self.counts.skipped += 1
                continue
            due.begin_sec = window[0].time_sec
            due.end_sec = window[-1].time_sec + _step(window)
            yield start, window


@dataclasses.dataclass
class _Due:
    """The window that is scored next."""

    begin_sec: float = 0.0
    end_sec: float = 0.0


def _pairs(first: Frame, others: Iterator[Frame]) -> Iterator[tuple[float, np.ndarray]]:
    yield first.time_sec, first.rgb
    for frame in others:
        yield frame.time_sec, frame.rgb


def _step(window: list[FrameStreams]) -> float:
    """Returns how long the last frame of a window is shown, as far as that is known."""
    if window[-1].duration_sec or len(window) == 1:
        return window[-1].duration_sec
    return window[-1].time_sec - window[-2].time_sec
