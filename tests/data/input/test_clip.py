"""Decoding a clip: equal to decoding whole frames and cutting them, and each frame once."""

from unittest import mock

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from official_vision.data.input import clip, geometry
from official_vision.data.input import clip_span as span
from official_vision.data.storage.shard import CHANNELS, decode_frame, encoded_size, jpeg_window
from official_vision.specs import DataSpec

STREAMS = ("rgb", "flow", "objects")
HEIGHT, WIDTH = 61, 97  # neither a multiple of JPEG's blocks
BOUND = 20.0


def picture(seed, channels=3, height=HEIGHT, width=WIDTH):
    """Strong colours and edges: where interpolation of colours at a border would show."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 5 + 1, width // 5 + 1, channels), np.uint8)
    return np.repeat(np.repeat(coarse, 5, 0), 5, 1)[:height, :width]


def jpeg(pixels, sampling=cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420):
    settings_ = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return cv2.imencode(".jpg", pixels, settings_)[1].tobytes()


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


SAMPLINGS = [
    getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{name}")
    for name in ("411", "420", "422", "440", "444")
]
JPEGS = [jpeg(picture(0), sampling) for sampling in SAMPLINGS]
JPEGS.append(cv2.imencode(".jpg", picture(0, 1))[1].tobytes())  # grey
JPEGS.append(png(picture(0)))  # no JPEG, but allowed


def boxes(height=HEIGHT, width=WIDTH):
    def box(top, left, bottom, right):
        return [min(top, bottom), min(left, right), abs(top - bottom) + 1, abs(left - right) + 1]

    rows, columns = st.integers(0, height - 1), st.integers(0, width - 1)
    return st.builds(box, rows, columns, rows, columns)


def windows(encoded, box):
    """The ways to decode a box: out of the whole picture, and of JPEGs what the box needs alone."""
    is_jpeg = encoded.startswith(b"\xff\xd8")
    return [None, jpeg_window(tf.constant(WIDTH), box)] if is_jpeg else [None]


@settings(max_examples=60)
@given(st.sampled_from(JPEGS), boxes())
def test_a_box_of_a_jpeg_is_the_box_of_the_whole(encoded, box):
    whole = decode_frame(tf.constant(encoded), "rgb", tf.constant(BOUND)).numpy()
    top, left, height, width = box
    for window in windows(encoded, tf.constant(box)):
        actual = decode_frame(tf.constant(encoded), "rgb", BOUND, tf.constant(box), window).numpy()
        np.testing.assert_array_equal(actual, whole[top : top + height, left : left + width])


@pytest.mark.parametrize("encoded", JPEGS)
def test_every_column_may_be_a_boxs_border(encoded):
    """Blocks end at multiples of 8, 16 or 32 columns: all beginnings and ends are tried."""
    whole = decode_frame(tf.constant(encoded), "rgb", tf.constant(BOUND)).numpy()
    decode = tf.function(
        lambda box: [
            decode_frame(tf.constant(encoded), "rgb", 1.0, box, window)
            for window in windows(encoded, box)
        ]
    )
    for column in range(WIDTH):
        for left, width in ((column, WIDTH - column), (0, column + 1)):
            for actual in decode(tf.constant([7, left, 40, width])):
                np.testing.assert_array_equal(actual, whole[7:47, left : left + width])


@given(boxes(), st.sampled_from(["flow", "objects"]))
def test_a_box_of_other_streams(box, stream):
    pixels = picture(1, 1, HEIGHT * (2 if stream == "flow" else 1))
    encoded, bound = tf.constant(png(pixels)), tf.constant(BOUND)
    assert [int(n) for n in encoded_size(encoded, stream)] == [HEIGHT, WIDTH]
    whole = decode_frame(encoded, stream, bound).numpy()
    top, left, height, width = box
    actual = decode_frame(encoded, stream, bound, tf.constant(box)).numpy()
    np.testing.assert_array_equal(actual, whole[top : top + height, left : left + width])


@pytest.mark.parametrize("encoded", JPEGS)
def test_size_of_rgb(encoded):
    assert [int(n) for n in encoded_size(tf.constant(encoded), "rgb")] == [HEIGHT, WIDTH]


def record_of(length):
    frames = range(length)
    return {
        "rgb": tf.constant([jpeg(picture(t)) for t in frames]),
        "flow": tf.constant([png(picture(10 + t, 1, 2 * HEIGHT)) for t in frames]),
        "objects": tf.constant([png(picture(20 + t, 1)) for t in frames]),
        "flow_bound": tf.constant(BOUND),
    }


CASES = [
    (DataSpec(frames=4, size=32), 6, 1),
    (DataSpec(frames=3, frame_stride=2, size=32), 8, 2),
    (DataSpec(frames=5, size=32, short_video="loop"), 3, 0),
    (DataSpec(frames=5, size=32, short_video="hold"), 3, 0),
    (DataSpec(frames=4, frame_stride=2, size=32, short_video="loop"), 6, 0),
]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("spec", "length", "start"), CASES)
def test_a_clip_is_what_whole_frames_give(spec, length, start, flip):
    record, box = record_of(length), tf.constant([9, 16, 37, 48])
    flip, begin, size = tf.constant(flip), tf.constant(start), tf.constant(length)
    actual = clip.decode_clip(record, begin, box, flip, spec, STREAMS)
    whole = {
        name: np.stack([decode_frame(e, name, record["flow_bound"]) for e in record[name]])
        for name in STREAMS
    }
    numbers = span.frame_numbers(begin, size, spec).numpy()
    flows = span.flow_numbers(begin, size, spec).numpy()
    moving = (flows != span.NO_MOTION)[..., np.newaxis, np.newaxis, np.newaxis]
    clips = {name: tf.constant(whole[name][numbers]) for name in ("rgb", "objects")}
    clips["flow"] = tf.constant((whole["flow"][flows] * moving).sum(1, dtype=np.float32))
    expected = geometry.crop_and_resize(clips, box, spec.size, flip)
    np.testing.assert_array_equal(actual["rgb"], expected["rgb"])
    np.testing.assert_array_equal(actual["objects"], expected["objects"][..., 0])
    np.testing.assert_allclose(actual["flow"], expected["flow"], atol=1e-4)


@pytest.mark.parametrize("pngs", [{2}, {0, 1, 2, 3}])
def test_a_clip_may_hold_pngs_among_jpegs(pngs):
    frames = [png(picture(t)) if t in pngs else jpeg(picture(t)) for t in range(4)]
    record = {**record_of(4), "rgb": tf.constant(frames)}
    whole = np.stack([decode_frame(e, "rgb", record["flow_bound"]) for e in record["rgb"]])
    box, flip = tf.constant([9, 16, 37, 48]), tf.constant(False)
    actual = clip.decode_clip(
        record, tf.constant(0), box, flip, DataSpec(frames=4, size=32), ["rgb"]
    )
    expected = geometry.crop_and_resize({"rgb": tf.constant(whole)}, box, 32, flip)
    np.testing.assert_array_equal(actual["rgb"], expected["rgb"])


@pytest.mark.parametrize(("spec", "length", "start"), CASES)
def test_each_needed_frame_is_decoded_once(spec, length, start):
    """Decodings are counted as they run, and are as many as the clip shows different frames."""
    record, counts = record_of(length), dict.fromkeys(STREAMS, 0)

    def counted(encoded, stream, *rest):
        def count():
            counts[stream] += 1

        tf.numpy_function(count, [], [])
        return decode_frame(encoded, stream, *rest)

    with mock.patch.object(clip, "decode_frame", counted):
        decode = tf.function(
            lambda: clip.decode_clip(
                record,
                tf.constant(start),
                tf.constant([9, 16, 37, 48]),
                tf.constant(False),
                spec,
                STREAMS,
            )
        )
        decode()
    numbers = span.frame_numbers(tf.constant(start), tf.constant(length), spec).numpy()
    flows = set(span.flow_numbers(tf.constant(start), tf.constant(length), spec).numpy().ravel())
    shown = len(set(numbers.tolist()))
    assert counts == {"rgb": shown, "objects": shown, "flow": len(flows - {span.NO_MOTION})}
    assert set(CHANNELS) == set(counts)


def test_sizes_and_lengths_come_from_headers():
    record = record_of(2)
    for stream in STREAMS:
        assert int(clip.num_frames(record, [stream])) == 2
        assert [int(n) for n in clip.frame_size(record, tf.constant(1), [stream])] == [
            HEIGHT,
            WIDTH,
        ]
