"""An optimizer's variables, made before the first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf
import tf_keras

from official_vision.private_apis import create_slots
from official_vision.training.optimizers.split_optimizer import SplitOptimizer

Optimizer = tf_keras.optimizers.Optimizer


def make_state(optimizer: Optimizer, weights: Sequence[tf.Variable]) -> None:
    """Makes momentum and the other variables of an optimizer.

    A step whose trace makes variables is traced a second time: 3.5 s of AssembleNet-50's start, and
    80 MiB of its peak memory. Within a strategy's scope, across its replicas.

    Args:
      optimizer: of the run, with loss scaling, moving average or two parts around what moves weights.
      weights: that it will move; others get no state.
    """
    for part, of_part in moving_parts(optimizer, weights):
        if isinstance(part, tf_keras.optimizers.legacy.Optimizer):
            create_slots(part, of_part)
        else:
            part.build(of_part)


def moving_parts(
    optimizer: Optimizer, weights: Sequence[tf.Variable]
) -> Iterator[tuple[Optimizer, list[tf.Variable]]]:
    """Yields the optimizers that move weights, each with its part of `weights`; arguments as above."""
    # Of loss scaling and of the moving average.
    if hasattr(optimizer, "inner_optimizer"):
        yield from moving_parts(optimizer.inner_optimizer, weights)
    elif isinstance(optimizer, SplitOptimizer):
        for part, of_part in optimizer.parts(weights):
            yield from moving_parts(part, of_part)
    elif weights:
        yield optimizer, list(weights)


def all_state(optimizer: Optimizer) -> list[tf.Variable]:
    """Returns the variables of an optimizer and of those inside it, some of them several times."""
    state = []
    for part in tf.train.TrackableView(optimizer).descendants():
        if isinstance(part, Optimizer | tf_keras.optimizers.legacy.Optimizer):
            state += part.variables() if callable(part.variables) else part.variables
    return state
