"""How far a command is and how long the rest will take: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
LINE_INTERVAL_SEC = 30.0
_BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}  {desc}"


def clock(seconds: float) -> str:
    """Returns seconds as h:mm:ss or m:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def estimate(rate: float, left: int, unit: str) -> str:
    """Returns how fast steps go and how long the rest takes.

    Args:
      rate: steps per second.
      left: steps to go.
      unit: of steps, in the plural.

    Returns:
      E.g. "2.50 videos/s  0:36 left", or "3.00 s per video  1:12 left"; empty where the rate is 0.
    """
    if rate <= 0:
        return ""
    pace = f"{rate:.2f} {unit}/s" if rate >= 1 else f"{1 / rate:.2f} s per {unit.removesuffix('s')}"
    return f"{pace}  {clock(left / rate)} left"


class Progress:
    """Counts steps of a whole and shows how many there are, how fast they go and how long the rest takes.

    A bar where the stream is a terminal; elsewhere a line at most every so many seconds, with the rate since the
    line before: steps that an earlier run had done pass in no time. May be used by several threads, and as a
    context manager.
    """

    def __init__(
        self,
        total: int,
        title: str = "",
        unit: str = "videos",
        *,
        done: int = 0,
        stream: TextIO | None = None,
        interval_sec: float = LINE_INTERVAL_SEC,
        now: Callable[[], float] = time.monotonic,
    ):
        """Args:
        total: steps of the whole.
        title: names the work.
        unit: of steps, in the plural.
        done: steps that were taken before.
        stream: standard error by default.
        interval_sec: least time between two lines.
        now: gives seconds.
        """
        self._total, self._count, self._stream = total, done, stream or sys.stderr
        self._title, self._unit = title, unit
        self._interval_sec, self._now = interval_sec, now
        self._count_at_line, self._time_at_line = done, now()
        self._lock = threading.Lock()
        # A bar of a single step would say nothing.
        self._bar = self._made_bar() if total > 1 and self._stream.isatty() else None

    def _made_bar(self) -> _Bar:
        return _Bar(
            total=self._total,
            initial=self._count,
            desc=self._title,
            unit=self._unit,
            file=self._stream,
            bar_format=_BAR,
            dynamic_ncols=True,
        )

    @property
    def is_bar(self) -> bool:
        """Whether a bar is shown."""
        return self._bar is not None

    def update(self, steps: int = 1) -> None:
        """Counts steps."""
        with self._lock:
            self._count += steps
            if self._bar is not None:
                self._bar.update(steps)
            elif line := self._line():
                print(line, file=self._stream, flush=True)

    def describe(self, text: str) -> None:
        """Shows a text on the bar in place of title, rate and time left; lines don't have it."""
        if self._bar is not None:
            self._bar.text = text
            self._bar.refresh()

    def note(self, text: str, stream: TextIO | None = None) -> None:
        """Prints a line without breaking the bar, to `stream` or to where progress is shown."""
        target = stream or self._stream
        if self._bar is not None:
            self._bar.write(text, file=target)
        else:
            print(text, file=target, flush=True)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Progress:
        """Returns itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the bar; a line about the end is the caller's."""
        self.close()

    def _line(self) -> str:
        """Returns a line, if the last one was long enough ago; else an empty text."""
        elapsed = self._now() - self._time_at_line
        if elapsed < self._interval_sec:
            return ""
        rate = (self._count - self._count_at_line) / elapsed
        self._count_at_line, self._time_at_line = self._count, self._now()
        head = f"{self._title}: " if self._title else ""
        rest = estimate(rate, self._total - self._count, self._unit)
        return f"{head}{self._count} of {self._total} {self._unit}  {rest}".rstrip()


class _Bar(tqdm):
    """tqdm's bar with this module's words for rate and time left."""

    text = ""  # in place of them

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the bar shows; tqdm's place for additions."""
        known = super().format_dict
        taken, elapsed = known["n"] - known["initial"], known["elapsed"]
        rate = known["rate"] or (taken / elapsed if elapsed else 0.0)
        rest = estimate(rate, known["total"] - known["n"], known["unit"])
        title = known["prefix"].removesuffix(": ")
        return known | {"prefix": self.text or "  ".join(filter(None, (title, rest)))}


def tracked(
    items: Iterable[Item], total: int, title: str = "", unit: str = "videos"
) -> Iterator[Item]:
    """Yields the items, and shows on standard error how many of them were taken.

    Args:
      items: to go through.
      total: their number.
      title: names the work.
      unit: of items, in the plural.
    """
    with Progress(total, title, unit) as progress:
        for item in items:
            yield item
            progress.update()
