"""Settings survive a restore; what an optimizer has gathered comes from the checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.training.optimizers.hyperparameters import settings_preserved
from official_vision.training.optimizers.weight_averages import ExactMovingAverage


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_changed_momentum_wins_and_velocities_are_restored(wrapped, tmp_path):
    def made(momentum):
        weight = tf.Variable([1.0, 2.0])
        inner = tf_keras.optimizers.legacy.SGD(0.1, momentum=momentum)
        outer = ExactMovingAverage(inner, 0.99) if wrapped else inner
        return weight, inner, outer, tf.train.Checkpoint(weight=weight, optimizer=outer)

    weight, inner, _, checkpoint = made(0.9)
    inner.apply_gradients([(tf.constant([1.0, -1.0]), weight)])
    path = checkpoint.save(str(tmp_path / "ckpt"))

    weight, inner, outer, checkpoint = made(0.5)
    with settings_preserved(outer):
        checkpoint.restore(path)
    inner.apply_gradients([(tf.zeros([2]), weight)])
    # Velocity -0.1 after the first step; half of it is left in the second.
    np.testing.assert_allclose(weight, [1.0 - 0.1 - 0.05, 2.0 + 0.1 + 0.05], atol=1e-6)
