"""Gradients of several replicas, summed in half precision: half the bytes that go between machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras

_GradientAndVariable = tuple[tf.Tensor | None, tf.Variable]


def exchange_in_half_precision(optimizer: tf_keras.optimizers.Optimizer) -> None:
    """Has an optimizer sum gradients over replicas in bfloat16, and use them in their dtype again.

    What is summed is rounded to 8 bits: a sum of N replicas has a relative error of 2^-9 or so, in no one direction.

    Args:
      optimizer: one that itself sums gradients, not a wrapper that leaves it to another.
    """
    # Legacy optimizers keep the function, the others have it as a method.
    is_legacy = isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer)
    name = "gradient_aggregator" if is_legacy else "aggregate_gradients"
    setattr(optimizer, name, summed_in_half_precision)


def summed_in_half_precision(pairs: Sequence[_GradientAndVariable]) -> list[Any]:
    """Sums gradients over replicas in bfloat16, within a replica.

    Args:
      pairs: gradients, None where there is none, with their variables.

    Returns:
      The pairs with the sums in the gradients' dtypes.
    """
    pairs = [(None if g is None else tf.convert_to_tensor(g), v) for g, v in pairs]
    replica = tf.distribute.get_replica_context()
    present = [tf.cast(g, tf.bfloat16) for g, _ in pairs if g is not None]
    if replica.num_replicas_in_sync == 1 or not present:
        return pairs
    total = iter(replica.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [(None if g is None else tf.cast(next(total), g.dtype), v) for g, v in pairs]
