"""Precise batch norm: statistics of all rows, by numpy; what is frozen stays."""

import numpy as np
import tensorflow as tf

from official_vision.modeling.inputs import normalise_rgb
from official_vision.training.precise_norm import recompute_statistics, trained_norms
from tests.modeling import small


def test_statistics_are_those_of_all_rows():
    model = small.network(small.architecture(), rgb_mean=0.0, rgb_deviation=1.0)
    batches = [small.clips(seed=seed) for seed in range(3)]
    batches[1]["rgb"] //= 4  # unlike the others
    stem = model.node_layers["0"]
    rows = np.concatenate(
        [
            stem.spatial(tf.reshape(normalise_rgb(b["rgb"], 0, 1, tf.float32), [-1, 32, 32, 3]))
            for b in batches
        ]
    ).astype(np.float64)
    recompute_statistics(model, batches, lambda batch: model(batch, training=True))
    np.testing.assert_allclose(
        stem.spatial_norm.moving_mean, rows.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        stem.spatial_norm.moving_variance, rows.var(axis=(0, 1, 2)), rtol=1e-3
    )
    assert float(model.update_count.variable) == 3  # training that goes on adds the fourth batch


def test_frozen_norms_keep_theirs_and_no_weight_moves():
    model = small.network(small.architecture())
    norms = trained_norms(model)
    norms[0].trainable = False
    assert trained_norms(model) == norms[1:]
    weights = [v.numpy() for v in model.trainable_variables]
    kept, old = norms[0].moving_mean.numpy(), norms[1].moving_mean.numpy()
    recompute_statistics(model, [small.clips()], lambda batch: model(batch, training=True))
    np.testing.assert_array_equal(norms[0].moving_mean, kept)
    assert np.abs(norms[1].moving_mean.numpy() - old).max() > 1e-3
    for variable, before in zip(model.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(variable, before)
