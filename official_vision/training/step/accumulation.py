"""Gradients of a batch, computed part by part in the memory of one part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from official_vision.errors import UserError

# Of a part's loss and of its gradients; both are sums over parts.
Gradients = tuple[tf.Tensor, list[tf.Tensor]]


def check_parts(batch_size: int, replicas: int, parts: int) -> None:
    """Checks that a batch divides evenly.

    Args:
      batch_size: clips per step over all devices.
      replicas: devices that share it.
      parts: of each device's share, TrainSpec.accumulation_steps.

    Raises:
      UserError: it does not.
    """
    if batch_size % (replicas * parts):
        raise UserError(
            "train/DataSpec.batch_size must be a multiple of TrainSpec.accumulation_steps times the devices. "
            f"Received: {batch_size} with {parts} steps on {replicas} devices. Change one of them."
        )


def accumulate(
    step: Callable[[Any], Gradients], batch: Any, parts: int, variables: Sequence[tf.Variable]
) -> Gradients:
    """Sums the results of `step` over the parts of a batch.

    Args:
      step: a part -> its loss and its gradients, already weighted by its share of the batch.
      batch: tensors [batch, ...] in any structure; parts are consecutive rows.
      parts: a divisor of the batch.
      variables: what the gradients are of.

    Returns:
      The sums.
    """
    split = tf.nest.map_structure(lambda x: _in_parts(x, parts), batch)
    sums = (tf.zeros([]), [tf.zeros(v.shape, v.dtype) for v in variables])

    def add(number: int | tf.Tensor, loss: tf.Tensor, gradients: list[tf.Tensor]) -> tuple:
        part_loss, part_gradients = step(tf.nest.map_structure(lambda x: x[number], split))
        return (
            number + 1,
            loss + part_loss,
            [a + b for a, b in zip(gradients, part_gradients, strict=True)],
        )

    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        loop = tf.while_loop(
            lambda number, *_: number < parts, add, (0, *sums), parallel_iterations=1
        )
        return loop[1], list(loop[2])
    # Replicas meet at each batch norm, which they cannot do inside a loop of the graph.
    for number in range(parts):
        with tf.control_dependencies([sums[0], *sums[1]]):
            sums = add(number, *sums)[1:]
    return sums


def _in_parts(x: tf.Tensor, parts: int) -> tf.Tensor:
    """Splits [batch, ...] into [parts, batch / parts, ...]; a static batch stays static."""
    rows = x.shape[0] // parts if x.shape[0] is not None else tf.shape(x)[0] // parts
    rest = [tf.shape(x)[axis] if size is None else size for axis, size in enumerate(x.shape)][1:]
    return tf.reshape(x, [parts, rows, *rest])
