"""Sums of several tensors: one operation, or pairs where a converter has no such operation in 8 bits."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import operator
from collections.abc import Iterator, Sequence

import tensorflow as tf

_IN_PAIRS = contextvars.ContextVar("sums_in_pairs", default=False)


def sum_of(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the sum of tensors of one shape and dtype."""
    if _IN_PAIRS.get():
        return functools.reduce(operator.add, tensors)
    return tf.add_n(tensors)


def sum_to_fuse(convolved: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Returns convolved + other, so that TensorFlow adds as it computes `convolved`, a convolution with a bias.

    Left to itself it first gathers sums of sums into one operation, with which no convolution is fused; a
    snapshot, which copies nothing here, keeps them apart.
    """
    return convolved + tf.raw_ops.Snapshot(input=other)


def are_in_pairs() -> bool:
    """Whether what is traced now is within `in_pairs`."""
    return _IN_PAIRS.get()


@contextlib.contextmanager
def in_pairs() -> Iterator[None]:
    """Within, what is traced adds two tensors at a time.

    TFLite's ADD_N has no 8-bit kernel: its int8 inputs are clipped to the range of its result and
    computed in floats. On the demo's network that made a difference of .73 in a score, and .41 in pairs.
    """
    before = _IN_PAIRS.set(True)
    try:
        yield
    finally:
        _IN_PAIRS.reset(before)
