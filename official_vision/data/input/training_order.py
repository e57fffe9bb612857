"""The order of training: a function of (seed, number) alone, so that training can begin at any step."""

from __future__ import annotations

import tensorflow as tf


def halves(num_records: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns two random halves of a split's positions, int64, each in rising order; the first gets the odd one."""
    positions = tf.range(num_records, dtype=tf.int64)
    shuffled = tf.random.experimental.stateless_shuffle(positions, [-1 - seed, num_records])
    half = -(-num_records // 2)
    return tf.sort(shuffled[:half]), tf.sort(shuffled[half:])


def training_order(
    num_records: int, seed: int, first: int, half: int | None = None
) -> tf.data.Dataset:
    """Yields (number, position of its record) for ever, epoch after epoch, each in another order.

    Args:
      num_records: of the split.
      seed: of the orders.
      first: number to begin with; what lies before it costs nothing.
      half: 0 or 1 of `halves`, whose records alone are gone through; None for all.

    Returns:
      A dataset of two scalars int64. Positions are those of data/storage/segments.py; only an epoch's
      positions are in memory.
    """
    chosen = None if half is None else halves(num_records, seed)[half]
    first_epoch, used = divmod(first, num_records if chosen is None else len(chosen))

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_records, dtype=tf.int64) if chosen is None else chosen,
            tf.stack([tf.constant(seed, tf.int64), number]),
        )
        begin = tf.where(number == first_epoch, used, 0)
        return tf.data.Dataset.from_tensor_slices(order[begin:])

    positions = tf.data.Dataset.counter(first_epoch).flat_map(epoch)
    return positions.enumerate(first)
