"""What this process computes on, as far as layers choose their operations by it."""

from __future__ import annotations

import functools

import tensorflow as tf


def on_cpu() -> bool:
    """Whether there is neither a GPU nor a TPU to compute on."""
    on_tpu = isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy)
    return not on_tpu and not tf.config.get_visible_devices("GPU")


@functools.cache
def has_dilated_gradients(dtype: tf.DType) -> bool:
    """Whether TensorFlow's convolution operation has gradients with dilation here.

    On CPUs oneDNN computes them. TensorFlow leaves oneDNN out on processors without VNNI or AMX, and oneDNN leaves
    bfloat16 out on those without AVX-512. What is there no document says, so a tiny gradient is tried.
    """
    with tf.init_scope():
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=[1, 3, 1, 1],
                filter=tf.ones([3, 1, 1, 1], dtype),
                out_backprop=tf.ones([1, 3, 1, 1], dtype),
                strides=[1, 1, 1, 1],
                dilations=[1, 2, 1, 1],
                padding="SAME",
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


def one_thread_an_operation() -> bool:
    """Whether TensorFlow was told to give each operation one thread, so that others run beside it."""
    return tf.config.threading.get_intra_op_parallelism_threads() == 1
