"""A clip's frames are read by themselves: the right ones, checked, and no others."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from official_vision.data.storage.frame_table import describe_shard, frame_table
from official_vision.data.storage.shard import ENCODED_KEYS, StoredVideo, parse
from tests.data.records import encode, original

STREAMS = tuple(ENCODED_KEYS)
LENGTH = 9


@pytest.fixture(scope="module")
def split(tmp_path_factory, make_split_in, stored_videos):
    return make_split_in(tmp_path_factory.mktemp("table"), stored_videos(3, length=LENGTH))


@given(st.integers(0, 2), st.integers(0, LENGTH - 1), st.integers(1, LENGTH + 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_window_is_a_part_of_the_record(split, position, start, count):
    folder, index = split
    table = frame_table(folder, index, STREAMS)
    record = parse(table.shards.read(tf.constant(position)), STREAMS)
    head = table.head(tf.constant(position))
    window = table.window(head, tf.constant(start), count)
    for name in STREAMS:
        whole = [original(frame) for frame in record[name].numpy()]
        assert window[name].numpy().tolist() == whole[start : start + count]
        assert len(head[name]) == LENGTH
    for name in ("id", "video", "fps", "flow_bound", "label_index", "label_start", "label_end"):
        np.testing.assert_array_equal(window[name], record[name])


def test_damage_elsewhere_in_a_record_does_not_matter(split):
    folder, index = split
    table = frame_table(folder, index, ("rgb",))
    path, offset = table.shards.place(1)
    content = Path(path).read_bytes()
    head = table.head(tf.constant(1))
    begin = int(head["rgb"][5])
    assert begin > offset
    try:
        Path(path).write_bytes(content[: begin + 30] + b"?" + content[begin + 31 :])
        assert len(table.window(head, tf.constant(0), 5)["rgb"]) == 5
        assert len(table.window(head, tf.constant(6), 3)["rgb"]) == 3
        with pytest.raises(tf.errors.DataLossError):
            table.window(head, tf.constant(3), 3)
    finally:
        Path(path).write_bytes(content)


def bytes_read():
    rows = Path("/proc/self/io").read_text().splitlines()
    return int(dict(row.split(": ") for row in rows)["rchar"])


def test_the_rest_of_the_shard_is_not_read(tmp_path, make_split_in):
    """Eight frames of 20 KB at the end of a video of 10 MB, behind another one."""
    noise = np.random.default_rng(0)
    frames = [b"\xff\xd8" + noise.bytes(20_000) for _ in range(500)]
    videos = [StoredVideo(f"v{n}", n, 25.0, [], 20.0, {"rgb": frames}) for n in range(2)]
    folder, index = make_split_in(tmp_path, videos)
    table = frame_table(folder, index, ("rgb",))
    position, start = tf.constant(1), tf.constant(490)
    before = bytes_read()
    window = table.window(table.head(position), start, 8)["rgb"]
    assert bytes_read() - before < 8 * 20_000 + 500_000
    assert window.numpy().tolist() == frames[490:498]


def test_shards_of_other_writers_are_refused(tmp_path, stored_videos):
    (video,) = stored_videos(1, length=2)
    path = tmp_path / "other.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(encode(video))
    with pytest.raises(ValueError, match="without the framing"):
        describe_shard(path)
    assert list(tmp_path.iterdir()) == [path]  # no half a table


def test_frames_of_unlike_kinds_are_refused(make_split_in, tmp_path, stored_videos):
    (video,) = stored_videos(1, length=2)
    mixed = [video.frames["rgb"][0], video.frames["objects"][0]]
    with pytest.raises(ValueError, match="of image/encoded of unlike kinds"):
        make_split_in(tmp_path, [dataclasses.replace(video, frames={"rgb": mixed})])
