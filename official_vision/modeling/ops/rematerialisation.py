"""Layers whose activations the backward pass computes again instead of keeping them (arXiv 1604.06174)."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

# Of the running thread: replicas of one machine are threads. It marks what is being traced, and switches nothing:
# `Execution.recomputes` does.
_recomputing = contextvars.ContextVar("recomputing", default=False)


def is_recomputing() -> bool:
    """Returns whether the layer that is being traced runs for the second time, in the backward pass."""
    return _recomputing.get()


def rematerialised(call: Callable[..., tf.Tensor], *tensors: Any) -> tf.Tensor:
    """Calls a layer so that its backward pass needs its inputs and weights alone.

    Args:
      call: tensors -> tensor, without randomness: the same both times. All that gradients
        shall reach is among its arguments or a variable.
      *tensors: floating-point tensors, or sequences of them.

    Returns:
      What `call` returns, with the same gradients.
    """
    flat = tf.nest.flatten(tensors)
    is_first = True

    def once_or_again(*values: tf.Tensor) -> tf.Tensor:
        nonlocal is_first
        again, is_first = not is_first, False
        with _marked(again):
            return call(*tf.nest.pack_sequence_as(tensors, list(values)))

    return tf.recompute_grad(once_or_again)(*flat)


@contextlib.contextmanager
def _marked(recomputing: bool) -> Iterator[None]:
    token = _recomputing.set(recomputing)
    try:
        yield
    finally:
        _recomputing.reset(token)
