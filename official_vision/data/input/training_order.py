"""The order of training: a function of (seed, number) alone, so that training can begin at any step."""

from __future__ import annotations

import tensorflow as tf

from official_vision.data.input.class_sampling import ClassSampling


def halves(num_records: int, seed: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns two random halves of a split's positions, int64, each in rising order; the first gets the odd one."""
    positions = tf.range(num_records, dtype=tf.int64)
    shuffled = tf.random.experimental.stateless_shuffle(positions, [-1 - seed, num_records])
    half = -(-num_records // 2)
    return tf.sort(shuffled[:half]), tf.sort(shuffled[half:])


def training_order(
    num_records: int,
    seed: int,
    first: int,
    half: int | None = None,
    sampling: ClassSampling | None = None,
) -> tf.data.Dataset:
    """Yields (number, position of its record) for ever, epoch after epoch, each in another order.

    Args:
      num_records: of the split.
      seed: of the orders.
      first: number to begin with; what lies before it costs nothing.
      half: 0 or 1 of `halves`, whose records alone are gone through; None for all.
      sampling: how often classes are drawn; None draws every record once in an epoch.

    Returns:
      A dataset of two scalars int64. Positions are those of data/storage/segments.py; only an epoch's
      positions are in memory.
    """
    chosen = tf.range(num_records, dtype=tf.int64)
    if half is not None:
        chosen = halves(num_records, seed)[half]
    first_epoch, used = divmod(first, len(chosen))
    draws = sampling.draws_of(chosen.numpy()) if sampling else None

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        seeds = tf.stack([tf.constant(seed, tf.int64), number])
        drawn = draws(seeds) if draws else chosen
        order = tf.random.experimental.stateless_shuffle(drawn, seeds)
        begin = tf.where(number == first_epoch, used, 0)
        return tf.data.Dataset.from_tensor_slices(order[begin:])

    positions = tf.data.Dataset.counter(first_epoch).flat_map(epoch)
    return positions.enumerate(first)
