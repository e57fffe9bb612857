"""Keras's global precision, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tf_keras


@contextlib.contextmanager
def in_precision(name: str) -> Iterator[None]:
    """Sets Keras's global policy for the networks that are built inside; they keep it afterwards."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
