"""Convolutions and batch norm against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.ops.convolution import (
    SpatialConvolution,
    TemporalConvolution,
    batch_norm,
    kernel_initializer,
    spatial_convolution,
)
from official_vision.modeling.ops.frame_layout import over_time
from official_vision.modeling.ops.recomputation import convolved
from tests.modeling import twins


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize(
    ("size", "stride", "height", "width"), [(1, 1, 4, 5), (3, 2, 5, 6), (7, 2, 9, 8), (1, 2, 5, 4)]
)
def test_spatial_convolution(size, stride, height, width, padding):
    x = twins.maps(2, height, width, 3)
    layer = spatial_convolution(4, size, stride, padding=padding)
    y = layer(x)
    expected = twins.convolution(x, twins.value(layer.kernel), stride, padding)
    assert layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert len(layer.weights) == 1  # no bias


def test_both_paddings_are_the_same_on_odd_sizes_alone():
    layers = [spatial_convolution(4, 3, 2, padding=padding) for padding in ("symmetric", "same")]
    for layer in layers:
        layer(twins.maps(1, 5, 5, 3))
    layers[1].set_weights(layers[0].get_weights())
    odd, even = ([layer(twins.maps(1, size, size, 3)) for layer in layers] for size in (5, 6))
    np.testing.assert_allclose(*odd, atol=1e-6)
    assert np.abs(even[0] - even[1]).max() > 0.1


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_the_form_without_dilation_computes_the_same(dilation):
    x = twins.maps(2, 7, 5, 3)
    layer = TemporalConvolution(4, 3, dilation)
    y = layer(x)
    np.testing.assert_allclose(layer.undilated_op(x, layer.kernel), y, atol=1e-5)


@pytest.mark.parametrize("execution", [PLAIN, Execution(cpu_kernels=True)])
@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_dilated_convolutions_train_where_tensorflow_has_no_gradient_of_them(dtype, execution):
    assert not execution.differentiable_dilation
    x = tf.cast(twins.maps(2, 7, 5, 3), dtype)
    layer = TemporalConvolution(4, 3, 2, dtype=dtype.name, execution=execution)
    layer(x)

    def gradients(call):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(tf.sin(tf.cast(call(), tf.float32)))
        return tape.gradient(total, (x, layer.kernel))

    actual = gradients(lambda: convolved(layer, x, training=True))
    expected = gradients(lambda: layer.undilated_op(x, tf.cast(layer.kernel, dtype)))
    for gradient, other in zip(actual, expected, strict=True):
        gradient, other = tf.cast(gradient, tf.float32).numpy(), tf.cast(other, tf.float32).numpy()
        tolerance = 1e-6 if dtype == tf.float32 else 0.02
        np.testing.assert_allclose(gradient, other, atol=tolerance * np.abs(other).max())


@pytest.mark.parametrize("training", [False, True])
def test_batch_norm(training: bool) -> None:
    x = 3 * twins.maps(4, 3, 3, 5) + 1
    layer = batch_norm()
    layer(x)
    twins.randomise(layer)
    expected = twins.batch_norm(x.astype(np.float64), layer, training)
    old_mean, old_variance = twins.value(layer.moving_mean), twins.value(layer.moving_variance)
    np.testing.assert_allclose(layer(x, training=training), expected, atol=1e-5)
    if training:
        mean = 0.99 * old_mean + 0.01 * x.mean(axis=(0, 1, 2))
        np.testing.assert_allclose(layer.moving_mean, mean, atol=1e-5)
        # The unbiased variance: of all 36 values per channel.
        variance = 0.99 * old_variance + 0.01 * x.var(axis=(0, 1, 2)) * 36 / 35
        np.testing.assert_allclose(layer.moving_variance, variance, atol=1e-5)


def test_a_last_batch_norm_starts_at_zero() -> None:
    x = twins.maps(2, 3, 3, 5)
    assert not np.any(batch_norm(starts_at_zero=True)(x, training=True))
    assert np.any(batch_norm()(x, training=True))


@given(
    frames=st.integers(1, 9),
    dilation=st.integers(1, 8),
    size=st.sampled_from([1, 3, 5]),
    batch=st.integers(1, 3),
)
def test_temporal_convolution(frames: int, dilation: int, size: int, batch: int) -> None:
    """Also where the dilation reaches beyond the clip, and clips never see each other."""
    x = twins.maps(batch * frames, 2, 3, 4)
    layer = TemporalConvolution(5, size, dilation)
    y = over_time(tf.constant(x), frames, layer)
    expected = twins.temporal_convolution(x, twins.value(layer.kernel), frames, dilation)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_an_even_temporal_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"odd\. Received: 4"):
        TemporalConvolution(5, 4)


def test_kernels_start_with_the_variance_of_he_fan_out() -> None:
    kernel = kernel_initializer()([3, 3, 64, 128])
    assert np.std(kernel) == pytest.approx(np.sqrt(2 / (9 * 128)), rel=0.02)
    assert tf.reduce_max(tf.abs(kernel)) > 2 * np.std(kernel)  # untruncated


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_a_saved_convolution_pads_as_before(padding):
    layer = spatial_convolution(4, 3, 2, padding=padding)
    revived = SpatialConvolution.from_config(layer.get_config())
    assert revived.padding_attributes() == layer.padding_attributes()
    assert (revived.padding_attributes()["padding"] == "SAME") is (padding == "same")
