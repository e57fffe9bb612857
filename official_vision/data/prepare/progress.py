"""Progress for its reader: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from tqdm import tqdm

LINE_INTERVAL_SEC = 30.0
_LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s, {rate_fmt}, {remaining} left"


class ProgressLines:
    """Prints a line at most once per interval, with the rate since the line before."""

    def __init__(
        self,
        total: int,
        title: str,
        unit: str = "video",
        interval_sec: float = LINE_INTERVAL_SEC,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Args:
        total: steps of the whole.
        title: begins each line.
        unit: what a step is.
        interval_sec: least time between two lines.
        clock: gives seconds.
        """
        self._total, self._title, self._unit = total, title, unit
        self._interval_sec, self._clock = interval_sec, clock
        self._count = self._count_at_line = 0
        self._time_at_line = clock()
        self._lock = threading.Lock()

    def update(self) -> None:
        """Counts a step; may be called by several threads."""
        with self._lock:
            self._count += 1
            now = self._clock()
            elapsed = now - self._time_at_line
            if elapsed < self._interval_sec:
                return
            # Steps that an earlier run had done pass in no time: the rate is that of late.
            rate = (self._count - self._count_at_line) / elapsed
            self._count_at_line, self._time_at_line = self._count, now
        line = tqdm.format_meter(
            self._count,
            self._total,
            elapsed,
            prefix=self._title,
            unit=self._unit,
            rate=rate,
            bar_format=_LINE,
        )
        print(line, flush=True)

    def __enter__(self) -> ProgressLines:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Prints nothing: a line about the end is the caller's."""


def progress(total: int, title: str, unit: str = "video") -> tqdm | ProgressLines:
    """Returns a context manager with `update`: a bar where standard error is a terminal, else lines."""
    if sys.stderr.isatty():
        return tqdm(total=total, desc=title, unit=unit)
    return ProgressLines(total, title, unit)
