"""Monitors a run during training: finite numbers, batches to skip, and requests to stop."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.errors import StoppedError
from official_vision.training.devices.strategies import is_one_of_many
from official_vision.training.resilience.nan_checks import Breakdown, FiniteWatch
from official_vision.training.resilience.skipped_batches import SkippedBatch, without_skipped
from official_vision.training.resilience.stop_signals import StopRequest


class StepMonitor:
    """Monitors the steps and evaluations of one run, from a checkpoint to its end or to a step that breaks."""

    def __init__(self, stop: StopRequest, skipped: Sequence[SkippedBatch]):
        """Args:
        stop: ends an evaluation early.
        skipped: batches to leave out.
        """
        self._stop = stop
        self._skipped = skipped
        self._watch: FiniteWatch | None = None

    def begin(self, rows: int) -> None:
        """Makes its variables, within the scope of the run's strategy.

        Args:
          rows: clips that a replica sees in a step.
        """
        self._watch = FiniteWatch(rows)

    def without_skipped(self, batches: tf.data.Dataset, first: int) -> tf.data.Dataset:
        """Skips batches; the first of `batches` has the number `first`."""
        return without_skipped(batches, first, self._skipped)

    def observe(
        self, loss: tf.Tensor, gradients: Sequence[tf.Tensor | None], targets: dict[str, tf.Tensor]
    ) -> None:
        """Checks a step within a replica, before the weights are updated.

        Args:
          loss: a scalar.
          gradients: of the replica's share of the global batch; empty where loss scaling deals with overflows.
          targets: mask float32 [batch] and video int32 [batch], of the batch.
        """
        self._watch.observe(loss, gradients, tf.where(targets["mask"] > 0, targets["video"], -1))

    def after_loop(
        self, strategy: tf.distribute.Strategy, step: int, weights: Sequence[tf.Variable]
    ) -> Breakdown | None:
        """Gathers from all workers what broke since the last call, and whether one of them is to stop.

        Args:
          strategy: of the run.
          step: reached now.
          weights: of the network.

        Returns:
          What was not finite first; None where all was.
        """
        broken, self._stop.agreed = self._watch.look(strategy, step, weights, self._stop.arrived)
        return broken

    def check_stop(self) -> None:
        """Ends an evaluation when the run is to stop; one process of several may not decide that alone.

        Raises:
          StoppedError: it is.
        """
        if self._stop.arrived and not is_one_of_many(tf.distribute.get_strategy()):
            raise StoppedError("evaluation")
