"""What this process computes on, as far as layers choose their operations by it."""

from __future__ import annotations

import tensorflow as tf


def on_cpu() -> bool:
    """Whether there is neither a GPU nor a TPU to compute on."""
    on_tpu = isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)
    return not on_tpu and not tf.config.get_visible_devices("GPU")


def one_thread_an_operation() -> bool:
    """Whether TensorFlow was told to give each operation one thread, so that others run beside it."""
    return tf.config.threading.get_intra_op_parallelism_threads() == 1
