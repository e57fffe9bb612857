"""The moving average's exchange with the weights is exact, and the average Model Garden's."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras
from official.modeling import optimization

from official_vision.training.optimizers.weight_averages import ExactMovingAverage


def trained(kind):
    tf_keras.utils.set_random_seed(1)
    model = tf_keras.Sequential([tf_keras.layers.Dense(50, input_shape=[20])])
    average = kind(tf_keras.optimizers.legacy.SGD(0.1))
    average.shadow_copy(model)
    for step in range(5):
        gradients = [tf.random.stateless_normal(w.shape, [step, 0]) for w in model.variables]
        average.apply_gradients(zip(gradients, model.variables, strict=True))
    return model, average


def test_exchanging_twice_changes_no_bit_and_once_gives_the_average():
    model, average = trained(lambda sgd: ExactMovingAverage(sgd, 0.9))
    garden_model, garden = trained(
        lambda sgd: optimization.ExponentialMovingAverage(sgd, False, 0.9)
    )
    weights = [w.numpy() for w in model.variables]
    slots = [average.get_slot(w, "average").numpy() for w in model.variables]
    with tf.distribute.OneDeviceStrategy("cpu:0").scope():
        average.swap_weights()
        for now, slot in zip(model.variables, slots, strict=True):
            np.testing.assert_array_equal(now, slot)
        average.swap_weights()
        garden.swap_weights()
    for now, before in zip(model.variables, weights, strict=True):
        np.testing.assert_array_equal(now, before)
    for ours, theirs in zip(slots, garden_model.variables, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
