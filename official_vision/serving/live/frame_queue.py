"""Frames on their way from the thread that reads them to the one that computes."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator

from official_vision.data.video import Frame
from official_vision.serving.live.options import LiveCounts

_HOLE = None  # stands among the frames where some are missing


class FrameQueue:
    """A bounded queue of frames, in stretches without holes.

    Where it is full, either its filler waits, or all waiting frames are dropped: one long hole costs fewer windows
    than many short ones, and what comes next is new.
    """

    def __init__(self, capacity: int, drops: bool, counts: LiveCounts):
        """Args:
        capacity: frames.
        drops: whether frames are dropped when it is full.
        counts: gets the frames that arrive and those dropped.
        """
        self._capacity = capacity
        self._drops = drops
        self._counts = counts
        self._items: collections.deque[tuple[Frame, float] | None] = collections.deque()
        self._frames = 0  # among the items
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self.newest_sec = 0.0  # when the newest frame that was taken arrived, by time.monotonic

    @property
    def waiting(self) -> int:
        """Frames that wait."""
        return self._frames

    @property
    def is_over(self) -> bool:
        """Whether all frames have been taken and none will come."""
        with self._changed:
            return self._closed and not self._frames

    def put(self, frame: Frame) -> bool:
        """Adds a frame; returns whether more are wanted."""
        with self._changed:
            if self._drops and self._frames >= self._capacity:
                self._counts.dropped += self._frames
                self._items.clear()
                self._items.append(_HOLE)
                self._frames = 0
            self._changed.wait_for(lambda: self._closed or self._frames < self._capacity)
            if self._closed:
                return False
            self._counts.frames += 1
            self._items.append((frame, time.monotonic()))
            self._frames += 1
            self._changed.notify_all()
            return True

    def hole(self) -> None:
        """Ends the stretch: frames are missing before the next one."""
        with self._changed:
            self._items.append(_HOLE)
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """Says that no more frames come, or that none are wanted.

        Args:
          error: is raised where the frames are taken, behind the last of them.
        """
        with self._changed:
            self._closed, self._error = True, self._error or error
            self._changed.notify_all()

    def stretches(self) -> Iterator[Iterator[Frame]]:
        """Yields the stretches, each an iterator of frames as they come, until the queue is closed and empty."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._items)
                while self._items and self._items[0] is _HOLE:
                    self._items.popleft()
                if not self._items and self._closed:
                    if self._error is not None:
                        raise self._error
                    return
            if self._items:
                yield self._stretch()

    def _stretch(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._items)
                item = self._items.popleft() if self._items else _HOLE
                if item is _HOLE:
                    return
                self._frames -= 1
                frame, self.newest_sec = item
                self._changed.notify_all()
            yield frame
