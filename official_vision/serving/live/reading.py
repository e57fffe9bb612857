"""Reads a live video in a thread, and opens it again when the connection is lost."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

from official_vision.data.video import DecodingReport, Frame, VideoError
from official_vision.serving.live.frame_queue import FrameQueue
from official_vision.serving.live.options import LiveCounts, LiveOptions

Connect = Callable[[DecodingReport], Iterator[Frame]]


class Reading:
    """A thread that fills a queue with the frames of one connection after the other.

    The first connection's frames keep their times; those of later ones go on at the time that has passed since.
    """

    def __init__(
        self,
        connect: Connect,
        queue: FrameQueue,
        counts: LiveCounts,
        options: LiveOptions,
        endless: bool,
    ):
        """Args:
        connect: opens the video and yields its frames; raises VideoError where that fails.
        queue: to fill; it is closed at the end.
        counts: gets the lost connections.
        options: pauses and patience.
        endless: whether the video's end is a loss of the connection.
        """
        self._connect = connect
        self._queue = queue
        self._counts = counts
        self._options = options
        self._endless = endless
        self._stopped = threading.Event()
        self._first_sec: float | None = None  # when the first frame came
        self._last_sec = time.monotonic()  # when the last frame came, or reading began
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Ends the thread at its next frame or pause."""
        self._stopped.set()
        self._queue.close()

    def _run(self) -> None:
        try:
            self._read()
            self._queue.close()
        except BaseException as error:  # it is raised where frames are taken
            self._queue.close(error)

    def _read(self) -> None:
        pause = self._options.first_pause_sec
        while True:
            frames, error = self._counts.frames, self._one_connection()
            if self._stopped.is_set() or (error is None and not self._endless):
                return
            if self._counts.frames > frames:
                pause = self._options.first_pause_sec
            left = self._last_sec + self._options.patience_sec - time.monotonic()
            if not self._endless or left <= 0:
                if self._first_sec is None:
                    raise error or VideoError("the video has no frame.")
                self._note_loss(error)
                return
            self._note_loss(error)
            self._queue.hole()
            if self._stopped.wait(min(pause, left)):
                return
            pause = min(2 * pause, self._options.longest_pause_sec)

    def _note_loss(self, error: VideoError | None) -> None:
        self._counts.lost += 1
        self._counts.reason = str(error) if error else "the video ended"

    def _one_connection(self) -> VideoError | None:
        """Reads until the connection ends; returns the reason if there is one."""
        offset = None
        try:
            for frame in self._connect(DecodingReport()):
                now = time.monotonic()
                if self._first_sec is None:
                    self._first_sec = now
                if offset is None:
                    offset = now - self._first_sec
                self._last_sec = now
                moved = dataclasses.replace(frame, time_sec=frame.time_sec + offset)
                if not self._queue.put(moved):
                    return None
        except VideoError as error:
            return error
        return None
