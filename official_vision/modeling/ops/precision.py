"""Keras's global precision, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tf_keras


@contextlib.contextmanager
def in_precision(name: str) -> Iterator[None]:
    """Sets Keras's global policy for the networks that are built inside; they keep it afterwards."""
    before = tf_keras.mixed_precision.global_policy()
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # three lines on float16 without a GPU, for which commands have one
    try:
        tf_keras.mixed_precision.set_global_policy(name)
    finally:
        logger.setLevel(level)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
