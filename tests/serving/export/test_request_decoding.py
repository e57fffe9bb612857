"""Encoded requests: damaged ones are named by their place, and the next one is scored."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.input.pipeline import build_dataset
from official_vision.data.storage.index import Index
from official_vision.data.storage.shard import ENCODED_KEYS
from official_vision.serving.export.request_decoding import decoded_frames, middle_clips
from official_vision.specs import DataSpec

STREAMS = ("rgb", "flow", "objects")
CLIP = DataSpec(frames=4, size=32, batch_size=1)
REFUSED = tf.errors.InvalidArgumentError


@pytest.fixture(scope="module")
def frames_graph():
    """The graph that a server runs, for every number of frames."""
    return tf.function(
        lambda frames: decoded_frames(frames, 32),
        input_signature=[tf.TensorSpec([None, None], tf.string)],
    )


@pytest.fixture(scope="module")
def records_graph():
    return tf.function(
        lambda records: middle_clips(records, STREAMS, CLIP),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )


@pytest.fixture(scope="module")
def record(split):
    (content,) = tf.data.TFRecordDataset(str(next(split.glob("*.tfrecord"))))
    return content.numpy()


def changed(record, key=None, frames=None, **context):
    """The record with the frames of one stream put through `frames`, or other context."""
    example = tf.train.SequenceExample.FromString(record)
    if key:
        features = example.feature_lists.feature_list[ENCODED_KEYS[key]].feature
        values = frames([feature.bytes_list.value[0] for feature in features])
        del features[:]
        for value in values:
            features.add().bytes_list.value.append(value)
    if "flow_bound" in context:
        example.context.feature["flow/bound"].float_list.value[0] = context["flow_bound"]
    return example.SerializeToString()


def hollow(content):
    """A file whose header is overwritten: its signature and its end are there."""
    return content[:20] + bytes(60) + content[80:]


def everywhere(function):
    return lambda frames: [function(frame) for frame in frames]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_frame_that_is_damaged_inside_is_named(frames_graph, suffix):
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    whole = cv2.imencode(suffix, picture[..., ::-1])[1].tobytes()
    expected = tf.io.decode_image(whole).numpy()
    for _ in range(2):
        with pytest.raises(REFUSED, match=r"(?s)frames must be whole.*is damaged.*\[1 2\]"):
            frames_graph(tf.constant([[whole] * 4, [whole, whole, hollow(whole), whole]]))
        actual = frames_graph(tf.constant([[whole] * 4] * 2)).numpy()
        np.testing.assert_array_equal(actual, np.broadcast_to(expected, (2, 4, 32, 32, 3)))


def test_records_give_what_evaluation_feeds(records_graph, record, split):
    index = Index.read(split)
    spec = DataSpec(path=str(split), frames=4, size=32, batch_size=1)
    ((expected, _),) = build_dataset(spec, index, STREAMS, training=False)
    actual = records_graph(tf.constant([record, record]))
    for name in STREAMS:
        for row in actual[name]:
            np.testing.assert_array_equal(row, expected[name][0])


BAD = {
    "no record": (lambda _: b"", "hold image/encoded, flow/encoded, objects/encoded"),
    "text": (lambda _: b"hello", "hold image/encoded"),
    "cut": (lambda record: record[: len(record) // 2], "hold image/encoded"),
    "missing stream": (lambda record: changed(record, "flow", lambda _: []), "of flow in flow/enc"),
    "no frames": (lambda record: changed(record, "rgb", lambda _: []), "of rgb in image/encoded"),
    "one less": (
        lambda record: changed(record, "flow", lambda features: features[1:]),
        "as many and as la",
    ),
    "rgb": (lambda record: changed(record, "rgb", everywhere(hollow)), "whole frames of rgb in"),
    "flow": (lambda record: changed(record, "flow", everywhere(hollow)), "whole frames of flow"),
    "cut frames": (
        lambda record: changed(record, "objects", everywhere(lambda png: png[: len(png) // 2])),
        "whole frames of objects",
    ),
    "other size": (
        lambda record: changed(
            record,
            "objects",
            everywhere(lambda _: cv2.imencode(".png", np.zeros((16, 16), np.uint8))[1].tobytes()),
        ),
        "objects in objects/encoded, as many and as large as of rgb",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_record_that_is_damaged_is_named_and_the_next_one_read(records_graph, record, kind):
    damage, message = BAD[kind]
    with pytest.raises(REFUSED, match=f"(?s)records must .*{message}") as caught:
        records_graph(tf.constant([record, damage(record), record]))
    assert "[1]" in str(caught.value)
    assert records_graph(tf.constant([record]))["rgb"].shape == (1, 4, 32, 32, 3)


def test_an_empty_request_is_refused(records_graph):
    with pytest.raises(REFUSED, match=r"records must be string \[batch\] with at least one"):
        records_graph(tf.zeros([0], tf.string))


def test_the_exported_file_refuses_alike_and_scores_the_next(exported, record):
    """Through the common function of all signatures: a bound of NaN makes flow NaN."""
    signatures = tf.saved_model.load(str(exported[0].path)).signatures
    serve = signatures["sequence_example"]
    expected = serve(records=tf.constant([record]))["scores"]
    for bad, message in (
        (b"hello", "records must be SequenceExamples"),
        (changed(record, flow_bound=np.nan), "flow must be .*finite numbers"),
    ):
        with pytest.raises(REFUSED, match=f"(?s){message}"):
            serve(records=tf.constant([bad]))
        np.testing.assert_array_equal(serve(records=tf.constant([record]))["scores"], expected)
    picture = cv2.imencode(".jpg", np.zeros((32, 32, 3), np.uint8))[1].tobytes()
    with pytest.raises(REFUSED, match=r"(?s)frames must be whole.*\[0 1\]"):
        signatures["encoded"](frames=tf.constant([[picture, hollow(picture), picture]]))
    scores = signatures["encoded"](frames=tf.constant([[picture] * 3]))["scores"]
    assert np.isfinite(scores).all()
