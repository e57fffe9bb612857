"""The order of training: a function of (seed, number) alone, so that any step can be begun from."""

from __future__ import annotations

import tensorflow as tf


def training_order(num_records: int, seed: int, first: int) -> tf.data.Dataset:
    """(number, position of its record) for ever, epoch after epoch, each in an order of its own.

    Args:
      num_records: of the split.
      seed: of the orders.
      first: number to begin with; what lies before it costs nothing.

    Returns:
      A dataset of two scalars int64. Positions are rows of data/records.py's table; nothing but an
      epoch's positions is held in memory.
    """
    first_epoch, used = divmod(first, num_records)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_records, dtype=tf.int64), tf.stack([tf.constant(seed, tf.int64), number])
        )
        begin = tf.where(number == first_epoch, used, 0)
        return tf.data.Dataset.from_tensor_slices(order[begin:])

    positions = tf.data.Dataset.counter(first_epoch).flat_map(epoch)
    return positions.enumerate(first)
