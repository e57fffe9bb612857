"""Checks for NaN: the step and the videos at which a run broke, and whether to stop."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

_NONE = -1
_CAUSES = ("the loss", "the gradients", "the weights")


@dataclasses.dataclass(frozen=True)
class Breakdown:
    """The first step since the last check whose loss or gradients were not finite.

    Attributes:
      step: its number, the first step being 1; None for weights, which are looked at between loops.
      cause: what was not finite.
      videos: rows of the batch's videos in their split, of the replicas that saw it first.
    """

    step: int | None
    cause: str
    videos: tuple[int, ...]


class NotFiniteError(Exception):
    """A run broke in a loop of steps, of which nothing is kept."""

    def __init__(self, breakdown: Breakdown):
        """Args:
        breakdown: what broke.
        """
        super().__init__(breakdown)
        self.breakdown = breakdown


class FiniteWatch(tf.Module):
    """Remembers, on every replica, the first step that was not finite.

    There is no communication with other replicas or the host within a loop of steps; `look` gathers once after it.
    The record is made of variables, not of assertions, which XLA leaves out.
    """

    def __init__(self, rows: int):
        """Args:
        rows: clips a replica sees in a step.
        """
        super().__init__(name="finite_watch")
        self._seen = _variable_per_replica(0, [])
        self._first = _variable_per_replica(_NONE, [])
        self._cause = _variable_per_replica(0, [])
        self._videos = _variable_per_replica(_NONE, [rows])

    def observe(
        self, loss: tf.Tensor, gradients: Sequence[tf.Tensor | None], videos: tf.Tensor
    ) -> None:
        """Checks a step within a replica.

        Args:
          loss: a scalar.
          gradients: of this replica; empty where loss scaling deals with those that overflow.
          videos: int32 [rows], rows of the videos in their split; negative ones are not named.
        """
        present = [gradient for gradient in gradients if gradient is not None]
        norm = tf.linalg.global_norm(present) if present else tf.zeros([])
        is_loss_finite = tf.math.is_finite(loss)
        is_broken = ~(is_loss_finite & tf.math.is_finite(norm))
        is_first = is_broken & (self._first < 0)
        self._first.assign(tf.where(is_first, self._seen, self._first))
        self._cause.assign(tf.where(is_first, tf.where(is_loss_finite, 1, 0), self._cause))
        self._videos.assign(tf.where(is_first, tf.cast(videos, tf.int32), self._videos))
        self._seen.assign_add(1)

    def look(
        self,
        strategy: tf.distribute.Strategy,
        step: int,
        weights: Sequence[tf.Variable],
        is_stop_wanted: bool,
    ) -> tuple[Breakdown | None, bool]:
        """Gathers what all replicas on all workers saw, after a loop, and starts anew.

        Args:
          strategy: of the run.
          step: reached now.
          weights: looked at as well: a step of any length may overflow them.
          is_stop_wanted: this worker got a request to stop.

        Returns:
          What broke first, and whether any worker got a request to stop. All workers get the same result.
        """
        of_replicas = strategy.run(self._record, args=(tf.constant(int(is_stop_wanted)),))
        rows = strategy.gather(of_replicas, axis=0).numpy()
        seen, firsts, causes, stops = rows[:, 0], rows[:, 1], rows[:, 2], rows[:, 3]
        is_stopping = bool(stops.any())
        broken = firsts[firsts >= 0]
        if not broken.size:
            if bool(_all_finite(weights)):
                return None, is_stopping
            return Breakdown(None, _CAUSES[2], ()), is_stopping
        culprits = firsts == broken.min()
        videos = tuple(int(video) for video in rows[culprits, 4:].ravel() if video >= 0)
        broken_step = step - int(seen[0]) + int(broken.min()) + 1
        return Breakdown(broken_step, _CAUSES[causes[culprits].min()], videos), is_stopping

    @tf.function
    def _record(self, stop: tf.Tensor) -> tf.Tensor:
        scalars = tf.stack([self._seen, self._first, self._cause, stop])
        record = tf.concat([scalars, self._videos], axis=0)[tf.newaxis]
        self._seen.assign(0)
        self._first.assign(_NONE)
        return record


def _variable_per_replica(value: int, shape: list[int]) -> tf.Variable:
    """Returns a variable that every replica has and changes for itself."""
    return tf.Variable(
        tf.fill(shape, value),
        trainable=False,
        dtype=tf.int32,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.NONE,
    )


@tf.function(autograph=False)
def _all_finite(weights: Sequence[tf.Variable]) -> tf.Tensor:
    return tf.reduce_all([tf.reduce_all(tf.math.is_finite(weight)) for weight in weights])
