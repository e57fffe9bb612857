"""Moving averages of weights, exchanged with the weights without rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from official.modeling import optimization

from official_vision.training.optimizers.optimizer_state import moving_parts


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
    trained = tf.identity(average)
    average.assign(weight)
    weight.assign(trained)
    return average


def exchange_addon_averages(optimizer: Any, weights: Sequence[tf.Variable]) -> None:
    """Exchanges the averages of an addon's wrapper (MovingAverage, SWA) with the weights; the second call undoes it.

    Model Garden's trainer knows only its average; without this, scores would be those of weights
    that were never averaged. Of two optimizers either may average what it moves.

    Args:
      optimizer: of the run; one without such averages changes nothing.
      weights: that it moves.
    """
    for wrapper, of_wrapper in moving_parts(optimizer, weights):
        if hasattr(wrapper, "assign_average_vars"):
            wrapper._create_all_weights(of_wrapper)  # a resumed run has taken no step yet
            pairs = [(wrapper.get_slot(weight, "average"), weight) for weight in of_wrapper]
            _exchange_all(tf.distribute.get_strategy(), pairs)
