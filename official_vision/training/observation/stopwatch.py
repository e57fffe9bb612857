"""The time of a run by activity: training, waiting for input, evaluation, checkpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import tensorflow as tf

TRAINING, INPUT = "training", "waiting for input"
EVALUATION, CHECKPOINTS = "evaluation", "checkpoints"
OTHER = "starting and records"


class Stopwatch:
    """Adds up seconds by activity; the rest is OTHER."""

    def __init__(self) -> None:
        self._taken_at = time.monotonic()
        self._seconds: dict[str, float] = {}
        # On the host and of no strategy: each process waits for its input.
        with tf.device("CPU:0"):
            self.waited = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def add(self, activity: str, seconds: float) -> None:
        """Adds seconds to an activity."""
        self._seconds[activity] = self._seconds.get(activity, 0.0) + seconds

    @contextlib.contextmanager
    def measuring(self, activity: str) -> Iterator[None]:
        """Adds the time that a block takes, even if it fails."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.add(activity, time.monotonic() - began)

    def take(self) -> dict[str, float]:
        """Returns seconds by activity since the last call, OTHER being the rest, and starts anew."""
        now = time.monotonic()
        taken, self._seconds = self._seconds, {}
        taken[OTHER] = max(now - self._taken_at - sum(taken.values()), 0.0)
        self._taken_at = now
        return taken


def now_in_steps(*, is_deterministic: bool) -> Callable[[], tf.Tensor]:
    """Returns what reads the clock within a graph: seconds, a float64 scalar.

    Args:
      is_deterministic: TensorFlow refuses its clock, as it would any operation whose result varies; Python's takes
        some 0.1 ms instead.
    """
    if not is_deterministic:
        return tf.timestamp
    return lambda: tf.ensure_shape(tf.numpy_function(time.time, [], tf.float64), [])
