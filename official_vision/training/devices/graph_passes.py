"""TensorFlow's passes over a training step's graph, left out where they cost more than they save."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

# All of them. They find nothing to gain in a training step on CPUs: AssembleNet-50's took 2.22 s without them and
# 2.18 s with them in float32, 1.42 s and 1.58 s in bfloat16, and its first one 2.6 s less: 1 s of that by
# analyses that run even where each pass is off.
_OPTION = "disable_meta_optimizer"


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Leaves the passes out, on a machine without GPU and TPU, of graphs that are first called in the block."""
    if tf.config.get_visible_devices("GPU") or tf.config.get_visible_devices("TPU"):
        yield
        return
    before = tf.config.optimizer.get_experimental_options().get(_OPTION, False)
    tf.config.optimizer.set_experimental_options({_OPTION: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OPTION: before})
