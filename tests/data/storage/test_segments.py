"""A clip's segments are read by themselves: the right ones, checked, and no others."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import is_cut_short, segments_of
from official_vision.data.storage.shard import ENCODED_KEYS
from official_vision.data.storage.shard_writer import StoredVideo
from tests.data.records import records_in

STREAMS = tuple(ENCODED_KEYS)
LENGTHS = (9, 4, 1)
SEGMENT = 4


@pytest.fixture(scope="module")
def videos(stored_videos):
    made = [stored_videos(n + 1, length=length)[n] for n, length in enumerate(LENGTHS)]
    times = np.cumsum(np.arange(10)).tolist()  # each frame lasts a second longer
    return [
        dataclasses.replace(video, times_sec=times[: length + 1])
        for video, length in zip(made, LENGTHS, strict=True)
    ]


@pytest.fixture(scope="module")
def split(tmp_path_factory, make_split_in, videos):
    return make_split_in(tmp_path_factory.mktemp("segments"), videos, segment_frames=SEGMENT)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_window_is_a_part_of_its_video(split, videos, data):
    segments = segments_of(*split)
    position = data.draw(st.integers(0, 2))
    start = data.draw(st.integers(0, LENGTHS[position] - 1))
    count = data.draw(st.integers(1, 12))
    video = videos[position]
    window = segments.window(tf.constant(position), tf.constant(start), count, STREAMS)
    for name in STREAMS:
        assert window[name].numpy().tolist() == video.frames[name][start : start + count]
    np.testing.assert_array_equal(window["times"], video.times_sec[start : start + count + 1])
    assert int(segments.num_frames(tf.constant(position))) == LENGTHS[position]
    assert (window["id"], window["video"]) == (video.id.encode(), position)
    assert (window["fps"], window["flow_bound"]) == (25.0, 20.0)
    ((label, _, *span),) = video.labels
    assert window["label_index"].numpy().tolist() == [label]
    assert [*window["label_start"].numpy(), *window["label_end"].numpy()] == span


def test_streams_can_be_read_alone(split, videos):
    window = segments_of(*split).window(tf.constant(0), tf.constant(3), 2, ("flow",))
    assert window["flow"].numpy().tolist() == videos[0].frames["flow"][3:5]
    assert not {"rgb", "objects"} & set(window)


def test_damage_elsewhere_in_a_video_does_not_matter(split):
    """Of segments 0 to 3, 4 to 7 and 8, the second is damaged."""
    segments = segments_of(*split)
    (_, (path, offset), _) = segments.places(0)
    content = Path(path).read_bytes()
    try:
        Path(path).write_bytes(content[: offset + 90] + b"?" + content[offset + 91 :])
        for start, count in ((0, 4), (8, 1)):
            read = segments.window(tf.constant(0), tf.constant(start), count, ("rgb",))
            assert len(read["rgb"]) == count
        for start, count in ((3, 2), (7, 1), (7, 2)):
            with pytest.raises(tf.errors.DataLossError):
                segments.window(tf.constant(0), tf.constant(start), count, ("rgb",))
    finally:
        Path(path).write_bytes(content)


def test_segments_of_other_frames_are_refused(split):
    """Of an index that has another number of frames, or turns segments round, than the shard has."""
    folder, index = split
    first = index.shards[0]
    wrong = (
        dataclasses.replace(first, frames=(10, 4)),
        dataclasses.replace(first, offsets=first.offsets[::-1]),
        dataclasses.replace(first, offsets=first.offsets[1:] + first.offsets[:1]),
    )
    for entry in wrong:
        other = dataclasses.replace(index, shards=(entry, *index.shards[1:]))
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="of the frames that the index says"
        ):
            segments_of(folder, other).window(tf.constant(0), tf.constant(5), 4, ("rgb",))


def bytes_read():
    rows = Path("/proc/self/io").read_text().splitlines()
    return int(dict(row.split(": ") for row in rows)["rchar"])


def test_the_rest_of_the_shard_is_not_read(tmp_path, make_split_in):
    """Eight frames of 20 KB at the end of a video of 10 MB, behind another one."""
    noise = np.random.default_rng(0)
    frames = [noise.bytes(20_000) for _ in range(500)]
    videos = [StoredVideo(f"v{n}", n, 25.0, [], 20.0, {"rgb": frames}) for n in range(2)]
    segments = segments_of(*make_split_in(tmp_path, videos, segment_frames=16))
    before = bytes_read()
    frames_read = segments.window(tf.constant(1), tf.constant(490), 8, ("rgb",))["rgb"]
    assert bytes_read() - before < 2 * 16 * 20_000 + 300_000
    assert frames_read.numpy().tolist() == frames[490:498]


def test_places_are_those_of_the_index_and_survive_its_file(split):
    folder, index = split
    segments = segments_of(folder, Index.read(folder))
    shards = [str(folder / shard.file) for shard in index.shards]
    first = [len(record) + 16 for record in records_in(shards[0])]
    assert list(segments.places(0)) == [(shards[0], sum(first[:n])) for n in range(3)]
    assert list(segments.places(1)) == [(shards[0], sum(first[:3]))]
    assert list(segments.places(2)) == [(shards[1], 0)]
    assert len(segments) == 3


def test_a_shard_that_ends_in_a_segment(tmp_path, split):
    path = tmp_path / "shard"
    *_, (shard, last) = segments_of(*split).places(0)
    content = Path(shard).read_bytes()
    whole = last + 16 + len(records_in(shard)[2])
    for size, cut in ((whole, False), (whole - 1, True), (last + 7, True), (last, True)):
        path.write_bytes(content[:size])
        assert is_cut_short(path, last) == cut
        assert not is_cut_short(path, 0)
