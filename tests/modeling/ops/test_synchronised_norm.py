"""A norm over two replicas is the norm of their rows together."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.ops import synchronised_norm

EPSILON = 1e-3
SCALE = np.array([0.5, -1.5, 2.0], np.float32)
OFFSET = np.array([0.1, 0.0, -3.0], np.float32)


def expected(x, dy):
    """Of all rows, in float64: the result, the moments, and gradients; a second implementation by definition."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    root = np.sqrt(variance + EPSILON)
    unit = (x - mean) / root
    of_scale, of_offset = (dy * unit).sum(axis=(0, 1, 2)), dy.sum(axis=(0, 1, 2))
    count = x.size / x.shape[-1]
    dx = SCALE / root * (dy - of_offset / count - unit * of_scale / count)
    return SCALE * unit + OFFSET, mean, variance * count / (count - 1), dx, unit


def run(x, dy, others):
    """Runs one replica, whose exchanges add the other's sums, in their order."""
    others = iter(others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            synchronised_norm,
            "sum_over_replicas",
            lambda values: values + tf.constant(next(others), tf.float32),
        )
        with tf.GradientTape() as tape:
            inputs = [tf.constant(value) for value in (x, SCALE, OFFSET)]
            tape.watch(inputs)
            y, mean, variance = synchronised_norm.normalise_over_replicas(*inputs, EPSILON)
        gradients = tape.gradient(y, inputs, output_gradients=tf.cast(dy, y.dtype))
    assert next(others, None) is None  # two exchanges, no more
    return [tensor.numpy().astype(np.float64) for tensor in (y, mean, variance, *gradients)]


@pytest.mark.parametrize("here", [0, 1, 3, 5])
def test_two_replicas_are_one(here):
    random = np.random.default_rng(here)
    x = random.normal(2.0, 3.0, (5, 4, 3, 3)).astype(np.float32)
    dy = random.normal(size=x.shape).astype(np.float32)
    y, mean, variance, dx, unit = expected(x, dy)
    there = x[here:].astype(np.float64)
    sums = [there.sum(axis=(0, 1, 2)), (there**2).sum(axis=(0, 1, 2)), [there.size / 3]]
    backward = [(dy * unit)[here:].sum(axis=(0, 1, 2)), dy[here:].sum(axis=(0, 1, 2))]
    done = run(x[:here], dy[:here], [np.concatenate(sums), np.stack(backward)])
    of_scale, of_offset = (dy * unit)[:here].sum(axis=(0, 1, 2)), dy[:here].sum(axis=(0, 1, 2))
    wanted = [y[:here], mean, variance, dx[:here], of_scale, of_offset]
    for actual, value in zip(done, wanted, strict=True):
        np.testing.assert_allclose(actual, value, rtol=2e-5, atol=2e-5)


def test_half_precision_keeps_statistics_in_float32():
    random = np.random.default_rng(0)
    x = tf.cast(random.normal(1.0, 0.1, (64, 8, 8, 3)), tf.bfloat16)
    y, mean, variance = synchronised_norm.normalise_over_replicas(x, SCALE, OFFSET, EPSILON)
    rows = x.numpy().astype(np.float64).reshape(-1, 3)
    assert (y.dtype, mean.dtype) == (tf.bfloat16, tf.float32)
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(variance, rows.var(axis=0, ddof=1), rtol=2e-3)
