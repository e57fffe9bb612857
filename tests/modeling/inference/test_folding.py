"""Folded networks compute what the networks they come from compute."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.modeling.inference.folding import folded
from official_vision.modeling.ops.batch_norm import ChannelBias
from tests.modeling import small, twins


def live_network(**settings):
    model = small.network(**settings)
    twins.randomise(model)
    return model


@pytest.mark.parametrize(
    "settings",
    [
        {"graph": small.architecture(peers=True)},
        {"gate": "static", "frame_pooling": "softmax"},
        {"architecture": "assemblenet_plus_plus_lite", "depth": None, "width_multiplier": 0.25},
    ],
)
def test_logits_stay(settings: dict) -> None:
    model = live_network(**settings)
    without_norms = folded(model)
    expected, actual = (
        small.logits(model, small.clips()),
        small.logits(without_norms, small.clips()),
    )
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())
    norms = tf_keras.layers.BatchNormalization
    assert not any(isinstance(layer, norms) for layer in without_norms.submodules)


def test_the_network_itself_is_left_as_it_is() -> None:
    model = live_network(graph=small.architecture())
    before = model.get_weights()
    without_norms = folded(model)
    without_norms.variables[0].assign_add(tf.ones_like(without_norms.variables[0]))
    for weight, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_bfloat16_is_near_and_half_as_large() -> None:
    model = live_network(graph=small.architecture(peers=True))
    halved = folded(model, "bfloat16")
    expected, actual = small.logits(model, small.clips()), small.logits(halved, small.clips())
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=0.05 * np.abs(expected).max())
    assert {v.dtype for v in halved.variables} == {tf.bfloat16}
    assert tf_keras.mixed_precision.global_policy().name == "float32"


def test_a_bias_is_added_to_each_channel_and_is_not_for_training() -> None:
    layer = ChannelBias()
    x = twins.maps(2, 4, 5, 3)
    layer(x)
    twins.randomise(layer)
    np.testing.assert_allclose(layer(x), x + twins.value(layer.bias), atol=1e-6)
    with pytest.raises(ValueError, match="can't be trained"):
        layer(x, training=True)
