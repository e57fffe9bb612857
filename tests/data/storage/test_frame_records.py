"""Frames woven into TFRecords are what they were for every decoder, and TensorFlow reads them one by one."""

import io

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from official_vision.data.storage.frame_lists import FrameLists, read_frames
from official_vision.data.storage.frame_records import FrameWeaver, place_of
from official_vision.data.storage.records import records_from
from tests.data.records import original

SIZES = st.lists(st.sampled_from([0, 1, 60, 90, *range(100, 130), 16_350, 70_000]), max_size=5)
HEADS = {
    "jfif": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00",
    "jpeg": b"\xff\xd8",
    "png": b"\x89PNG\r\n\x1a\n" + bytes(25),
}


def picture(suffix, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8)
    return cv2.imencode(suffix, pixels)[1].tobytes()


def woven(frames):
    weaver = FrameWeaver()
    stored = [weaver.append(frame) for frame in frames] + [weaver.end()]
    assert stored[0] is None
    return stored[1:]


@given(st.sampled_from(sorted(HEADS)), SIZES.filter(bool))
def test_tensorflow_reads_a_run_of_frames_from_any_of_them_on(tmp_path_factory, kind, sizes):
    head = HEADS[kind]
    frames = [head + bytes([number + 1]) * size for number, size in enumerate(sizes)]
    folder = tmp_path_factory.mktemp("frames")
    with FrameLists(folder) as lists:
        for frame in frames:
            lists.append({"rgb": frame})
    path = str(lists.paths["rgb"])
    features = tf.train.FeatureList.FromString(lists.paths["rgb"].read_bytes()).feature
    stored = [feature.bytes_list.value[0] for feature in features]
    assert [original(frame) for frame in stored] == frames
    content = lists.paths["rgb"].read_bytes()
    places = [place_of(frame) for frame in stored]
    begins = [
        content.index(frame) + place.offset for frame, place in zip(stored, places, strict=True)
    ]
    for first, begin in enumerate(begins):
        run = records_from(tf.constant(path), tf.constant(begin, tf.int64))
        left = len(frames) - first
        frames_read = run.take(left).batch(left).get_single_element().numpy()
        rest = [
            place.head + framed[place.skip : place.skip + place.length]
            for framed, place in zip(frames_read, places[first:], strict=True)
        ]
        assert rest == frames[first:]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_every_decoder_sees_the_same_pixels(suffix):
    frames = [picture(suffix, seed) for seed in range(3)]
    for frame, stored in zip(frames, woven(frames), strict=True):
        assert original(stored) == frame
        for decode in (
            lambda content: tf.io.decode_image(content).numpy(),
            lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR),
            lambda content: np.asarray(Image.open(io.BytesIO(content))),
        ):
            np.testing.assert_array_equal(decode(stored), decode(frame))


def test_a_changed_frame_fails_alone(tmp_path):
    frames = [picture(".jpg", seed) for seed in range(3)]
    with FrameLists(tmp_path) as lists:
        for frame in frames:
            lists.append({"rgb": frame})
    path = lists.paths["rgb"]
    content = bytearray(path.read_bytes())
    begins = [content.index(frame) + place_of(frame).offset for frame in woven(frames)]
    content[begins[1] + 100] ^= 1
    path.write_bytes(content)

    def read(begin):
        records = records_from(tf.constant(str(path)), tf.constant(begin, tf.int64))
        return records.take(1).get_single_element().numpy()

    for sound in (0, 2):
        assert read(begins[sound])
    with pytest.raises(tf.errors.DataLossError):
        read(begins[1])


def test_what_is_no_woven_frame_is_refused():
    weaver = FrameWeaver()
    assert weaver.end() is None
    weaver.append(b"GIF89a")
    with pytest.raises(ValueError, match="neither a JPEG nor a PNG: b'GIF89a'"):
        weaver.end()
    with pytest.raises(ValueError, match="without the framing"):
        place_of(picture(".jpg", 0))
    with pytest.raises(ValueError, match="no field 1 at byte 0"):
        list(read_frames(io.BytesIO(b"\x12\x00"), 2))
