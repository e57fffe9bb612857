"""Rematerialised networks: the same gradients and moving averages, computed twice."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.modeling.execution import Execution
from official_vision.modeling.ops.batch_norm import BatchNormalization
from official_vision.modeling.ops.rematerialisation import rematerialised
from tests.modeling import small


def step_of(what):
    """Loss, gradients and moving averages of one training step."""
    execution = Execution(recomputes=what, cpu_kernels=True)
    model = small.network(small.architecture(), execution=execution)
    model.update_count.variable.assign(3.0)  # a batch that is taken twice shows
    features = small.clips()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(features, training=True)["logits"] ** 2)
        return loss, tape.gradient(loss, model.trainable_variables)

    loss, gradients = step()
    return loss.numpy(), [g.numpy() for g in gradients], [v.numpy() for v in model.variables]


@functools.cache
def stored_step(policy):
    """Of a network that keeps all maps, under Keras's global policy at hand."""
    assert tf_keras.mixed_precision.global_policy().name == policy
    return step_of("nothing")


@pytest.mark.parametrize("what", ["norms", "everything"])
def test_gradients_and_moving_averages_are_the_same(what):
    """Up to the order in which several consumers' gradients are added: a few units in the last place."""
    stored, again = stored_step("float32"), step_of(what)
    assert again[0] == pytest.approx(stored[0], rel=1e-6)
    for actual, expected in zip(again[1] + again[2], stored[1] + stored[2], strict=True):
        scale = np.abs(expected).max() + 1e-9
        np.testing.assert_allclose(actual / scale, expected / scale, atol=3e-5)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["norms", "everything"])
def test_half_precision_gives_the_same_direction(what):
    """Sums of bfloat16 products depend on their order by more than single gradients bear."""
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        stored, again = stored_step("mixed_bfloat16"), step_of(what)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert again[0] == pytest.approx(stored[0], rel=1e-3)
    one, other = (np.concatenate([g.ravel() for g in step[1]]) for step in (stored, again))
    assert one @ other > 0.999 * np.linalg.norm(one) * np.linalg.norm(other)


def test_the_call_is_made_twice_and_averages_see_one_batch():
    norm = BatchNormalization(momentum=0.5)
    calls = []
    x = tf.random.stateless_normal([8, 3], [1, 2], mean=4.0)

    def call(values):
        calls.append(len(calls))
        return norm(values, training=True)

    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(rematerialised(call, x) ** 3)
    assert len(calls) == 1
    assert tape.gradient(loss, x) is not None
    assert len(calls) == 2
    np.testing.assert_allclose(norm.moving_mean, 0.5 * x.numpy().mean(axis=0), rtol=1e-5)
