"""Model Garden's moving average of weights, exchanged with the weights without rounding."""

from __future__ import annotations

import tensorflow as tf
from official.modeling import optimization


class ExactMovingAverage(optimization.ExponentialMovingAverage):
    """A moving average whose exchange with the weights, twice, leaves every bit as it was.

    Model Garden exchanges by adding and subtracting: each evaluation then moves the weights by a
    rounding error, and a run that was resumed past an evaluation parts from one that was not.
    """

    @tf.function
    def _swap_weights(self) -> None:
        strategy = tf.distribute.get_strategy()
        pairs = list(zip(self._average_weights, self._model_weights, strict=True))
        if isinstance(strategy, tf.distribute.TPUStrategy):
            tf.distribute.get_replica_context().merge_call(_exchange_all, args=(pairs,))
        else:
            _exchange_all(strategy, pairs)


def _exchange_all(
    strategy: tf.distribute.Strategy, pairs: list[tuple[tf.Variable, tf.Variable]]
) -> None:
    for average, weight in pairs:
        strategy.extended.update(average, _exchange, args=(weight,))


def _exchange(average: tf.Variable, weight: tf.Variable) -> tf.Variable:
    kept = tf.identity(average)
    average.assign(weight)
    weight.assign(kept)
    return average
