"""The time of a run by activity: training, waiting for input, evaluation, checkpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import tensorflow as tf

TRAINING, INPUT = "training", "waiting for input"
EVALUATION, CHECKPOINTS = "evaluation", "checkpoints"
OTHER = "starting and records"


class Stopwatch:
    """Adds up seconds by activity; the rest is OTHER."""

    def __init__(self, *, is_deterministic: bool = False):
        """Args:
        is_deterministic: of the run, see `now_in_steps`.
        """
        self._is_deterministic = is_deterministic
        self._taken_at = time.monotonic()
        self._seconds: dict[str, float] = {}
        # On the host and of no strategy: each process waits for its input.
        with tf.device("CPU:0"):
            self.waited = tf.Variable(0.0, trainable=False, dtype=tf.float64)

    def now_in_steps(self) -> tf.Tensor:
        """Reads the clock within a graph: seconds, a float64 scalar.

        In a deterministic run TensorFlow refuses its clock, as every operation whose result varies: Python's is read.
        """
        if not self._is_deterministic:
            return tf.timestamp()
        return tf.ensure_shape(tf.numpy_function(time.time, [], tf.float64), [])

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
