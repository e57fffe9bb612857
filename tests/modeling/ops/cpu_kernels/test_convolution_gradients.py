"""Gradients of padded convolutions, beside those that TensorFlow takes of padded maps."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.execution import Execution
from official_vision.modeling.ops.convolution import spatial_convolution
from official_vision.modeling.ops.cpu_kernels.convolution_gradients import (
    convolution_gradient,
    convolve,
)


@pytest.mark.parametrize("is_cpu", [True, False])
@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize(("kernel_size", "height", "width"), [(3, 6, 5), (3, 4, 4), (7, 9, 8)])
def test_of_strided_convolutions(kernel_size, height, width, padding, is_cpu):
    noise = np.random.default_rng(0)
    x = tf.constant(noise.normal(size=(2, height, width, 3)), tf.float32)
    kernel = tf.constant(noise.normal(size=(kernel_size, kernel_size, 3, 4)), tf.float32)
    execution = Execution(cpu_kernels=is_cpu)
    layer = spatial_convolution(4, kernel_size, 2, padding=padding, execution=execution)
    side = kernel_size // 2
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        if padding == "same":
            y = tf.nn.conv2d(x, kernel, 2, "SAME")
        else:
            y = tf.nn.conv2d(
                tf.pad(x, [(0, 0), (side, side), (side, side), (0, 0)]), kernel, 2, "VALID"
            )
    np.testing.assert_allclose(convolve(layer, x, kernel), y, rtol=1e-5, atol=1e-5)
    dy = tf.constant(noise.normal(size=y.shape), tf.float32)
    expected = tape.gradient(y, [x, kernel], dy)
    computed = tf.function(convolution_gradient)(layer, x, kernel, dy)
    for gradient, reference in zip(computed, expected, strict=True):
        np.testing.assert_allclose(gradient, reference, rtol=1e-4, atol=1e-4)
