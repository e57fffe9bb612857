"""Precise batch norm: statistics of all rows, by numpy; what is frozen stays."""

import numpy as np
import tf_keras

from official_vision.training.precise_norm import recompute_statistics
from tests.modeling import small


def test_statistics_are_those_of_all_rows():
    random = np.random.default_rng(0)
    rows = random.normal(3, [1.0, 2.0, 5.0], (4, 50, 3)).astype(np.float32)
    rows += np.arange(4, dtype=np.float32)[:, np.newaxis, np.newaxis]  # batches unlike each other
    model = tf_keras.Sequential([tf_keras.layers.BatchNormalization(momentum=0.99)])
    model.build([None, 3])
    model.layers[0].moving_mean.assign([7.0] * 3)
    recompute_statistics(model, rows, lambda batch: model(batch, training=True))
    np.testing.assert_allclose(model.layers[0].moving_mean, rows.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(model.layers[0].moving_variance, rows.var(axis=(0, 1)), rtol=1e-5)


def test_frozen_norms_keep_theirs_and_no_weight_moves():
    model = small.network(small.architecture())
    norms = [x for x in model.submodules if isinstance(x, tf_keras.layers.BatchNormalization)]
    norms[0].trainable = False
    weights = [v.numpy() for v in model.trainable_variables]
    kept, old = norms[0].moving_mean.numpy(), norms[1].moving_mean.numpy()
    recompute_statistics(model, [small.clips()], lambda batch: model(batch, training=True))
    np.testing.assert_array_equal(norms[0].moving_mean, kept)
    assert np.abs(norms[1].moving_mean.numpy() - old).max() > 1e-3
    for variable, before in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, before)
