"""Moving statistics of batch norms: a plain mean first, without initial values, then the usual average."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.ops.batch_norm import BatchNormalization, UpdateCount
from tests.modeling import small, twins

MOMENTUM = 0.75


def batches(count):
    """Unlike each other, [rows, height, width, channels]."""
    return [(1 + n) * twins.maps(2, 3, 3, 4, seed=n) + n**2 for n in range(count)]


@pytest.mark.parametrize("synchronized", [False, True])
@pytest.mark.parametrize("jit", [None, False, True])
def test_batch_n_counts_one_nth_until_momentum_takes_over(synchronized: bool, jit: bool | None):
    norm = BatchNormalization(momentum=MOMENTUM, synchronized=synchronized)
    norm(batches(1)[0])
    norm.moving_variance.assign([1e4] * 4)  # of which a millionth would show
    norm.moving_mean.assign([-1e4] * 4)
    norm.update_count = UpdateCount()

    def step(x):
        norm.update_count.add()
        norm(x, training=True)

    call = step if jit is None else tf.function(step, jit_compile=jit)
    clips = batches(6)
    of_each = np.array([x.astype(np.float64).mean(axis=(0, 1, 2)) for x in clips])
    # The fused kernel's variance is the unbiased one.
    variances = np.array([x.astype(np.float64).var(axis=(0, 1, 2), ddof=1) for x in clips])
    for count, x in enumerate(clips[:4], start=1):
        call(tf.constant(x))
        np.testing.assert_allclose(norm.moving_mean, of_each[:count].mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(norm.moving_variance, variances[:count].mean(axis=0), rtol=1e-5)
    mean = of_each[:4].mean(axis=0)
    for x, batch_mean in zip(clips[4:], of_each[4:], strict=True):
        call(tf.constant(x))
        mean = MOMENTUM * mean + (1 - MOMENTUM) * batch_mean
        np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-5)


def test_all_norms_of_a_network_take_the_mean_of_two_batches():
    model, single = (small.network(small.architecture()) for _ in range(2))
    alone = []
    for features in (small.clips(size=16, seed=seed) for seed in range(2)):
        model(features, training=True)
        single.update_count.variable.assign(0.0)
        single(features, training=True)
        alone.append([v.numpy() for v in single.variables if "/moving_" in v.name])
    assert float(model.update_count.variable) == 2
    together = [v.numpy() for v in model.variables if "/moving_" in v.name]
    assert len(together) > 20
    for statistic, first, second in zip(together, *alone, strict=True):
        np.testing.assert_allclose(statistic, (first + second) / 2, rtol=1e-4, atol=1e-5)


def test_the_count_is_no_weight_and_inference_leaves_it():
    model = small.network(small.architecture())
    model(small.clips(), training=False)
    assert float(model.update_count.variable) == 0
    assert not any("norm_updates" in variable.name for variable in model.variables)
