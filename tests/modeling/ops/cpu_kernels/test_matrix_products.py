"""Kernels' gradients as matrix products, against TensorFlow's and by hand."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.execution import Execution
from official_vision.modeling.ops import thresholds
from official_vision.modeling.ops.convolution import TemporalConvolution, spatial_convolution
from official_vision.modeling.ops.cpu_kernels.convolution_gradients import convolution_gradient
from official_vision.modeling.ops.cpu_kernels.matrix_products import (
    decimated,
    pointwise_by_matrices,
    pointwise_product,
    spatial_by_matrices,
    temporal_by_matrices,
)
from official_vision.modeling.ops.shared_maps import with_spatial_average

CPU = Execution(cpu_kernels=True)


def maps(*shape, seed=0, dtype=tf.float32):
    return tf.cast(tf.random.stateless_normal(shape, [seed, 1]), dtype)


@pytest.fixture(params=[0, 2**60], ids=["matrices", "kernels"])
def either_way(request, monkeypatch):
    """Both ways of computing, for any width."""
    for name in (
        "LEAST_POINTWISE",
        "LEAST_POINTWISE_STRIDED",
        "LEAST_TEMPORAL",
        "LEAST_SPATIAL",
        "LEAST_BOTH_WAYS",
        "LEAST_STRIDED",
    ):
        monkeypatch.setitem(getattr(thresholds, name), "float32", request.param)


def kernel_gradient(layer, x, kernel, dy):
    _, gradient = convolution_gradient(layer, x, kernel, dy)
    return gradient


@pytest.mark.parametrize(
    ("kernel_size", "stride", "height", "width"),
    [(1, 1, 4, 5), (1, 2, 5, 4), (3, 1, 4, 5), (3, 2, 5, 5), (7, 2, 9, 8)],
)
@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.usefixtures("either_way")
def test_spatial_is_what_the_tape_finds(kernel_size, stride, height, width, padding):
    x, kernel = maps(3, height, width, 6), maps(kernel_size, kernel_size, 6, 4, seed=1)
    side = kernel_size // 2
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        if padding == "same":
            y = tf.nn.conv2d(x, kernel, stride, "SAME")
        else:
            bordered = np.pad(x, [(0, 0), (side, side), (side, side), (0, 0)])
            y = tf.nn.conv2d(bordered, kernel, stride, "VALID")
    dy = maps(*y.shape, seed=2)
    layer = spatial_convolution(4, kernel_size, stride, padding=padding, execution=CPU)
    actual = kernel_gradient(layer, x, kernel, dy)
    np.testing.assert_allclose(actual, tape.gradient(y, kernel, dy), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("clips", [2, 5])
@pytest.mark.parametrize("frames", [1, 2, 3, 5])
@pytest.mark.parametrize(("kernel_size", "dilation"), [(3, 1), (3, 4), (5, 2)])
@pytest.mark.usefixtures("either_way")
def test_temporal_by_hand(clips, frames, kernel_size, dilation):
    """Few clips and many, which are computed differently; taps that reach beyond a clip."""
    x, dy = maps(clips, frames, 3, 6), maps(clips, frames, 3, 4, seed=1)
    expected = np.zeros((kernel_size, 1, 6, 4))
    for tap in range(kernel_size):
        for t in range(frames):
            seen = t + dilation * (tap - kernel_size // 2)
            if 0 <= seen < frames:
                expected[tap, 0] += np.einsum("bpi,bpo->io", x[:, seen], dy[:, t])
    layer = TemporalConvolution(4, kernel_size, dilation, execution=CPU)
    actual = kernel_gradient(layer, x, maps(kernel_size, 1, 6, 4), dy)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_wide_convolutions_are_matrix_products_and_strided_3x3_ones_never():
    def wide(filters, kernel_size, stride=1, dtype=tf.float32):
        return spatial_by_matrices(maps(1, 2, 2, 512, dtype=dtype), filters, kernel_size, stride)

    assert wide(2048, 1)
    assert wide(513, 1)
    assert not wide(512, 1)
    assert not wide(8, 1)
    assert wide(8, 1, dtype=tf.bfloat16)
    assert wide(512, 1, stride=2)
    assert not wide(511, 1, stride=2)
    assert wide(512, 3)
    assert not wide(512, 3, stride=2)
    assert not wide(2048, 7)
    assert temporal_by_matrices(maps(1, 16, 2, 512), 256, 3, dilation=1)


def test_dilated_temporal_convolutions_that_reach_half_of_a_clip_are_matrix_products():
    def far(frames, kernel_size, dilation):
        return temporal_by_matrices(maps(1, frames, 2, 4), 4, kernel_size, dilation)

    assert far(16, 5, 4)
    assert not far(17, 5, 4)
    assert far(8, 3, 4)
    assert not far(2, 3, 1)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_pointwise_product_is_a_convolution_both_ways(stride):
    noise = np.random.default_rng(0)
    x = tf.constant(noise.normal(size=(3, 5, 7, 4)), tf.float32)
    kernel = tf.constant(noise.normal(size=(1, 1, 4, 6)), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch((x, kernel))
        product = pointwise_product(x, kernel, stride)
        convolution = tf.nn.conv2d(x, kernel, stride, "SAME")
    np.testing.assert_allclose(product, convolution, atol=1e-5)
    weights = tf.constant(noise.normal(size=product.shape), tf.float32)
    for actual, other in zip(
        tape.gradient(product, (x, kernel), weights),
        tape.gradient(convolution, (x, kernel), weights),
        strict=True,
    ):
        np.testing.assert_allclose(actual, other, atol=1e-4)


def test_strided_pointwise_convolutions_are_products_from_a_lesser_width_on():
    def product(channels, filters, stride, dtype=tf.float32):
        return pointwise_by_matrices(maps(1, 2, 2, channels, dtype=dtype), filters, stride)

    assert product(256, 512, 2)
    assert not product(256, 512, 1)
    assert not product(256, 512, 2, tf.bfloat16)
    assert product(512, 1024, 2, tf.bfloat16)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("height", "width"), [(4, 5), (5, 6), (1, 2)])
def test_decimation_is_a_strided_slice_and_its_gradient(height, width, stride, known):
    x = maps(2, height, width, 3)
    weights = maps(*x[:, ::stride, ::stride].shape, seed=1)
    sizes = [None, None, None, 3] if not known else x.shape

    @tf.function(input_signature=[tf.TensorSpec(sizes, tf.float32)])
    def both_ways(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = decimated(x, stride)
        return y, tape.gradient(y, x, weights)

    y, dx = both_ways(x)
    expected = np.zeros(x.shape)
    expected[:, ::stride, ::stride] = weights
    np.testing.assert_array_equal(y, x[:, ::stride, ::stride])
    np.testing.assert_array_equal(dx, expected)


def test_an_average_beside_its_map_has_the_gradient_of_both():
    noise = np.random.default_rng(1)
    x = tf.constant(noise.normal(size=(2, 3, 5, 4)), tf.float32)
    of_map, of_average = noise.normal(size=(2, 3, 5, 4)), noise.normal(size=(2, 4))
    with tf.GradientTape() as tape:
        tape.watch(x)
        same, average = with_spatial_average(x)
        total = tf.reduce_sum(same * of_map) + tf.reduce_sum(average * of_average)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_allclose(average, x.numpy().mean((1, 2)), rtol=1e-5)
    expected = of_map + of_average[:, np.newaxis, np.newaxis] / 15
    np.testing.assert_allclose(tape.gradient(total, x), expected, rtol=1e-5)
