"""Streams, signatures, normalisation and neutral values."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.zoo import load_architecture
from official_vision.errors import UserError
from official_vision.modeling import inputs
from official_vision.modeling.stems import ObjectStem
from official_vision.specs import ModelSpec
from tests.modeling import small


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
    for frames in (rgb, rgb.astype(np.float32)):
        actual = inputs.normalise_rgb(frames, 0.45, 0.225, tf.float32)
        np.testing.assert_allclose(actual, expected, atol=1e-5)
    np.testing.assert_allclose(inputs.normalise_rgb(rgb, 0, 1, tf.float32), rgb / 255, atol=1e-6)
    assert inputs.normalise_rgb(rgb, 0.45, 0.225, tf.bfloat16).dtype == tf.bfloat16


def test_normalisation_per_colour() -> None:
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    rgb = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
    actual = inputs.normalise_rgb(rgb, tuple(mean), tuple(deviation), tf.float32)
    np.testing.assert_allclose(actual, (rgb / 255 - mean) / deviation, atol=1e-5)


def test_a_blank_stream_is_neutral() -> None:
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


def fed(**changed) -> dict:
    return {name: x.numpy() for name, x in small.clips(1, 2, 8).items()} | changed


STREAMS = ("rgb", "flow", "objects")


def test_streams_of_other_dtypes_are_cast_where_no_value_changes() -> None:
    usual = fed()
    for name, dtypes in (
        ("objects", (np.int8, np.int32, np.int64, np.float32)),
        ("rgb", (np.int32, np.float64)),
        ("flow", (np.float64,)),
    ):
        for dtype in dtypes:
            actual = inputs.as_fed(fed(**{name: usual[name].astype(dtype)}), STREAMS)
            np.testing.assert_array_equal(actual[name], usual[name])
            assert name == "rgb" or actual[name].dtype == usual[name].dtype
    ids = tf.constant(usual["objects"], tf.int32)
    in_graph = tf.function(lambda x: inputs.as_fed({"objects": x}, ("objects",))["objects"])
    np.testing.assert_array_equal(in_graph(ids), usual["objects"])
    with pytest.raises(tf.errors.InvalidArgumentError, match="whole numbers from 0 to 255"):
        in_graph(ids - 300)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"objects": np.full((1, 2, 8, 8), -1)}, r"Received: -1 \(int64\). Map others to 255"),
        ({"objects": np.full((1, 2, 8, 8), 256, np.int32)}, "Received: 256"),
        ({"objects": np.full((1, 2, 8, 8), 0.5)}, "Received: 0.5"),
        ({"rgb": np.linspace(0, 1, 384).reshape(1, 2, 8, 8, 3)}, "0 to 1. Multiply it by 255"),
        ({"rgb": np.linspace(-2, 2, 384).reshape(1, 2, 8, 8, 3)}, "-2 to 2. Undo what scaled it"),
        ({"rgb": np.full((1, 2, 8, 8, 3), np.nan)}, "nan to nan"),
        (
            {"rgb": np.zeros((2, 8, 8, 3), np.uint8)},
            r"time, height, width, 3\]. Received: uint8 \(2",
        ),
        ({"flow": np.zeros((1, 2, 8, 8, 3))}, "flow must be numbers"),
        ({"objects": np.full((1, 2, 8, 8), "dog")}, "objects must be numbers"),
    ],
)
def test_what_cannot_be_meant_is_one_line(changed, message) -> None:
    with pytest.raises(UserError, match=message) as caught:
        inputs.as_fed(fed(**changed), STREAMS)
    assert "\n" not in str(caught.value)


def test_missing_streams_are_named() -> None:
    features = fed()
    del features["objects"]
    with pytest.raises(UserError, match=r"Received: rgb, flow\. Add objects\."):
        inputs.as_fed(features, STREAMS)
    assert inputs.as_fed(features, STREAMS, known=STREAMS).keys() == features.keys()


def test_a_network_refuses_without_keras_s_lines() -> None:
    model = small.network(small.architecture())
    clips = small.clips()
    expected = small.logits(model, clips)
    again = {**clips, "objects": tf.cast(clips["objects"], tf.int32)}
    np.testing.assert_array_equal(small.logits(model, again), expected)
    for call in (model, model.endpoints):
        with pytest.raises(UserError, match=r"^A network needs the streams"):
            call({"rgb": clips["rgb"]})
