"""Streams, signatures, normalisation and neutral values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.zoo import load_architecture
from official_vision.modeling import inputs
from official_vision.modeling.stems import ObjectStem
from official_vision.specs import ModelSpec


@pytest.mark.parametrize(
    ("name", "flow_source", "streams"),
    [
        ("assemblenet_plus_plus_50", "stored", ("rgb", "flow", "objects")),
        ("assemblenet_plus_plus_50", "computed", ("rgb", "objects")),
        ("assemblenet_50", "stored", ("rgb", "flow")),
        ("slowfast_50", "computed", ("rgb",)),
    ],
)
def test_streams(name: str, flow_source: str, streams: tuple[str, ...]) -> None:
    spec = ModelSpec(flow_source=flow_source)
    assert inputs.streams_of(load_architecture(name), spec) == streams


def test_signature() -> None:
    signature = inputs.input_signature(("rgb", "flow", "objects"), frames=8, size=64)
    assert signature == {
        "rgb": tf.TensorSpec([None, 8, 64, 64, 3], tf.uint8, "rgb"),
        "flow": tf.TensorSpec([None, 8, 64, 64, 2], tf.float32, "flow"),
        "objects": tf.TensorSpec([None, 8, 64, 64], tf.uint8, "objects"),
    }


def test_normalisation() -> None:
    rgb = np.array([0, 1, 128, 255], np.uint8)
    expected = (rgb / 255 - 0.45) / 0.225
    for given in (rgb, rgb.astype(np.float32)):
        found = inputs.normalise_rgb(given, 0.45, 0.225, tf.float32)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(inputs.normalise_rgb(rgb, 0, 1, tf.float32), rgb / 255, atol=1e-6)
    assert inputs.normalise_rgb(rgb, 0.45, 0.225, tf.bfloat16).dtype == tf.bfloat16


def test_normalisation_per_colour() -> None:
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    rgb = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    found = inputs.normalise_rgb(rgb, tuple(mean), tuple(deviation), tf.float32)
    np.testing.assert_allclose(found, (rgb / 255 - mean) / deviation, atol=1e-5)


def test_a_blank_stream_says_nothing() -> None:
    random = np.random.default_rng(0)
    features = {
        "rgb": tf.constant(random.integers(0, 256, (1, 2, 4, 4, 3), np.uint8)),
        "flow": tf.constant(random.normal(size=(1, 2, 4, 4, 2)).astype(np.float32)),
        "objects": tf.constant(random.integers(0, 9, (1, 2, 4, 4), np.uint8)),
    }
    for name in features:
        blanked = inputs.blank_stream(features, name)
        assert blanked[name].dtype == features[name].dtype
        assert all(blanked[other] is features[other] for other in features if other != name)
    grey = inputs.blank_stream(features, "rgb")["rgb"]
    assert np.abs(inputs.normalise_rgb(grey, 0.45, 0.225, tf.float32)).max() < 0.01
    assert not np.any(inputs.blank_stream(features, "flow")["flow"])
    assert not np.any(ObjectStem(151)(inputs.blank_stream(features, "objects")["objects"][0]))
