"""Convolutions and batch norm against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.modeling.convolution import (
    TemporalConvolution,
    batch_norm,
    kernel_initializer,
    spatial_convolution,
)
from official_vision.modeling.frames import over_time
from tests.modeling import twins


@pytest.mark.parametrize(
    ("size", "stride", "height", "width"), [(1, 1, 4, 5), (3, 2, 5, 6), (7, 2, 9, 8), (1, 2, 5, 4)]
)
def test_spatial_convolution(size: int, stride: int, height: int, width: int) -> None:
    x = twins.maps(2, height, width, 3)
    layer = spatial_convolution(4, size, stride)
    y = layer(x)
    np.testing.assert_allclose(
        y, twins.convolution(x, twins.value(layer.kernel), stride), atol=1e-5
    )
    assert len(layer.weights) == 1  # no bias


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
        # The unbiased variance: of all 36 values a channel.
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
