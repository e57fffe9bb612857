"""The rectifier, by numpy: what is not a number must stay so, or a run that broke would go on."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.ops.elementwise import relu


@pytest.mark.parametrize("training", [True, False, None])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(3, 4, 5, 37), (6, 8), (0, 4)])
@pytest.mark.parametrize("execution", [PLAIN, Execution(cpu_kernels=True)])
def test_it_keeps_what_is_positive_or_not_a_number(shape, dtype, training, execution):
    noise = np.random.default_rng(0).normal(size=shape).astype("float32")
    noise.flat[::7], noise.flat[1::11], noise.flat[2::13] = np.nan, -np.inf, np.inf
    for signed in (noise, -noise):  # the NaN of a processor has its sign bit set
        x = tf.cast(signed, dtype)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = relu(x, training, execution)
        wide = tf.cast(x, tf.float32).numpy()
        expected = np.where(np.isnan(wide), np.nan, np.maximum(wide, 0))
        np.testing.assert_array_equal(tf.cast(y, tf.float32), expected)
        dy = tf.cast(np.random.default_rng(1).normal(size=shape), dtype)
        dx = tf.cast(tape.gradient(y, x, dy), tf.float32)
        np.testing.assert_array_equal(dx, np.where(wide > 0, tf.cast(dy, tf.float32), 0))
        assert y.dtype == dtype
