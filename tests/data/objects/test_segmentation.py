"""Segmentation networks whose ids are known: fed as described, read as scores or ids."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.neutral_values import UNLABELLED
from official_vision.data.objects import object_source
from official_vision.data.objects.checked_network import network_sha256
from official_vision.data.objects.network_input import NetworkInput
from official_vision.data.objects.segmentation import SegmentationNetwork
from official_vision.data.video import Frame
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

SIZE = 8
COLOURS = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.float32)


class NearestColour(tf.Module):
    """Scores of 4 classes: minus the distance of a pixel, in 0..1 rgb, from black, red, green, blue."""

    @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32, "frame")])
    def scores(self, frame):
        distances = tf.reduce_sum((frame[..., tf.newaxis, :] - COLOURS / 255) ** 2, axis=-1)
        return {"scores": -distances}

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, "frame")])
    def ids(self, frame):
        red = tf.cast(frame[..., 0] > 127, tf.int64)
        return {"ids": red * 9, "zeros": tf.zeros_like(red)}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Both functions as SavedModels, the first as TFLite too."""
    folder = tmp_path_factory.mktemp("networks")
    module = NearestColour()
    for name in ("scores", "ids"):
        function = getattr(module, name)
        tf.saved_model.save(module, str(folder / name), signatures={"serving_default": function})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "scores"))
    (folder / "scores.tflite").write_bytes(converter.convert())
    return folder


def picture(classes: np.ndarray) -> Frame:
    """A frame of pure colours, each class a block of 2 x 2 pixels."""
    blocks = classes.repeat(2, axis=0).repeat(2, axis=1)
    return Frame(COLOURS[blocks].astype(np.uint8), 0.0, 0)


CLASSES = np.random.default_rng(0).integers(0, 4, (SIZE, SIZE))


@pytest.mark.parametrize("objects", ["saved_model:{}/scores", "tflite:{}/scores.tflite"])
def test_the_network_is_fed_as_described(networks, objects):
    spec = PrepareSpec(objects=objects.format(networks), object_input_size=SIZE)
    ids = object_source(spec, "any.mp4")(picture(CLASSES))
    np.testing.assert_array_equal(ids, CLASSES.repeat(2, axis=0).repeat(2, axis=1))
    assert ids.dtype == np.uint8


def test_a_wholly_quantised_network_is_fed_in_its_steps(networks, tmp_path):
    """Its input is int8; colours and their ids are the same as the float network's."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(networks / "scores"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    samples = np.random.default_rng(1).uniform(0, 1, (8, 1, SIZE, SIZE, 3)).astype(np.float32)
    converter.representative_dataset = lambda: ([sample] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    path = tmp_path / "int8.tflite"
    path.write_bytes(converter.convert())
    source = object_source(PrepareSpec(objects=f"tflite:{path}", object_input_size=SIZE), "a.mp4")
    np.testing.assert_array_equal(source(picture(CLASSES))[::2, ::2], CLASSES)


def test_fractions_are_no_ids():
    """One channel of scores of a single class would otherwise be cut to whole numbers."""
    outputs = {"scores": np.full((1, 4, 4, 1), 0.7, np.float32)}
    network = SegmentationNetwork(
        lambda _: outputs, NetworkInput(np.dtype(np.float32)), PrepareSpec()
    )
    with pytest.raises(UserError, match="whole numbers; scores have a channel per class"):
        network(np.zeros((4, 4, 3), np.uint8))


def test_channels_and_ids_are_moved_as_described(networks):
    spec = PrepareSpec(
        objects=f"saved_model:{networks}/scores",
        object_input_size=SIZE,
        object_channel_order="bgr",
        object_id_offset=-1,
        object_unlabelled_id=2,
    )
    ids = object_source(spec, "any.mp4")(picture(CLASSES))[::2, ::2]
    # Red and blue change places; black (0) falls below 0, green (2) is what the network doesn't know.
    expected = np.array([UNLABELLED, 2, UNLABELLED, 0])[CLASSES]
    np.testing.assert_array_equal(ids, expected)


def test_ids_of_a_uint8_network_of_any_size(networks):
    spec = PrepareSpec(objects=f"saved_model:{networks}/ids", object_output="ids")
    ids = object_source(spec, "any.mp4")(picture(CLASSES))
    np.testing.assert_array_equal(ids[::2, ::2], np.where(CLASSES == 1, 9, 0))


def test_values_are_scaled_by_channel():
    """Against the formula, for a network that shows what it is fed."""
    fed = []

    def run(frame):
        fed.append(frame)
        return {"ids": np.zeros((1, 4, 4), np.int32)}

    spec = PrepareSpec(object_scale=2, object_mean=(1, 2, 3), object_deviation=(4, 5, 6))
    rgb = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    SegmentationNetwork(run, NetworkInput(np.dtype(np.float32)), spec)(rgb)
    expected = (rgb.astype(np.float64) / 2 - [1, 2, 3]) / [4, 5, 6]
    np.testing.assert_allclose(fed[0][0], expected, rtol=1e-6)


def test_ids_are_repeated_between_runs(networks):
    spec = PrepareSpec(
        objects=f"saved_model:{networks}/ids", object_output="ids", object_interval=2
    )
    source = object_source(spec, "any.mp4")
    red, black = picture(np.ones((2, 2), int)), picture(np.zeros((2, 2), int))
    assert [source(frame).max() for frame in (red, black, black, red)] == [9, 9, 0, 0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objects": "saved_model:nowhere"}, "must name a segmentation network"),
        ({"objects": "tflite:nowhere"}, "there is no such file"),
        ({"objects": "saved_model:{}/ids"}, "several outputs"),
        ({"objects": "saved_model:{}/ids", "object_output": "id"}, "Did you mean 'ids'"),
        ({"objects": "saved_model:{}/ids", "object_mean": (1, 2)}, "one value for all channels"),
    ],
)
def test_mistakes_are_one_line(networks, settings, message):
    settings = {**settings, "objects": settings["objects"].format(networks)}
    with pytest.raises(UserError, match=message):
        object_source(PrepareSpec(**settings), "any.mp4")(picture(CLASSES))


def test_the_fingerprint_is_the_networks(networks, tmp_path):
    spec = PrepareSpec(
        objects=f"tflite:{networks}/scores.tflite", object_input_size=SIZE, short_side=16
    )
    copy = tmp_path / "copy.tflite"
    copy.write_bytes((networks / "scores.tflite").read_bytes())
    assert network_sha256(dataclasses.replace(spec, objects=f"tflite:{copy}")) == network_sha256(
        spec
    )
    folders = {
        network_sha256(dataclasses.replace(spec, objects=f"saved_model:{networks}/{name}", object_output=name))
        for name in ("scores", "ids")
    }  # fmt: skip
    assert len(folders) == 2
