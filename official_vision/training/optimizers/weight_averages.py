"""Moving averages of weights, exchanged with the weights without rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras
from official.modeling import optimization

from official_vision.private_apis import create_slots
from official_vision.training.optimizers.optimizer_state import moving_parts


class ExactMovingAverage(optimization.ExponentialMovingAverage):
    """A moving average whose exchange with the weights, twice, leaves every bit as it was.

    Model Garden exchanges by adding and subtracting: each evaluation then moves the weights by a
    rounding error, and a run that was resumed past an evaluation parts from one that was not.
    """

    def __init__(self, optimizer: tf_keras.optimizers.legacy.Optimizer, decay: float):
        """Args:
        optimizer: updates the weights.
        decay: of the average, 0..1; smaller in the first steps.
        """
        super().__init__(optimizer, trainable_weights_only=False, average_decay=decay)
        self.inner_optimizer = optimizer
        self.averaged: list[tuple[tf.Variable, tf.Variable]] = []  # (average, weight)

    @property
    def learning_rate(self) -> Any:
        """The rate or schedule of the optimizer inside."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        """Sets the rate or schedule of the optimizer inside."""
        self.inner_optimizer.learning_rate = learning_rate

    def shadow_copy(self, model: tf_keras.Model) -> None:
        """Makes an average for each weight of `model`; Model Garden's trainer calls it."""
        super().shadow_copy(model)
        self.averaged = [(self.get_slot(weight, "average"), weight) for weight in model.variables]

    def swap_weights(self) -> None:
        """Exchanges weights and averages; the second time back. Outside of replicas, within the strategy's scope."""
        tf.distribute.get_strategy().run(self.exchange)

    @tf.function(autograph=False)
    def exchange(self) -> None:
        """Exchanges weights and averages within a replica."""
        strategy = tf.distribute.get_strategy()
        if isinstance(strategy, tf.distribute.TPUStrategy):
            tf.distribute.get_replica_context().merge_call(_exchange_all, args=(self.averaged,))
        else:
            _exchange_all(strategy, self.averaged)


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
            create_slots(wrapper, of_wrapper)  # a resumed run has taken no step yet
            pairs = [(wrapper.get_slot(weight, "average"), weight) for weight in of_wrapper]
            _exchange_all(tf.distribute.get_strategy(), pairs)
