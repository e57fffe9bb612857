"""What is written is read, segment by segment; equal videos give equal bytes; Model Garden reads them too."""

import dataclasses
import hashlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision import files
from official_vision.data.storage.shard import ENCODED_KEYS, parse
from official_vision.data.storage.shard_writer import ShardWriter, StoredVideo
from tests.data.records import records_in, write_shard

SECONDS = st.floats(0, 1000, width=32)
LABELS = st.lists(st.tuples(st.integers(0, 999), st.text(max_size=5), SECONDS, SECONDS), max_size=4)


@given(
    st.text(),
    st.integers(0, 2**40),
    st.floats(1, 240, width=32),
    LABELS,
    st.lists(st.binary(max_size=4), max_size=9),
    st.integers(1, 10),
    st.booleans(),
)
def test_segments_keep_everything(
    tmp_path_factory, video_id, row, fps, labels, frames, segment_frames, with_times
):
    path = tmp_path_factory.mktemp("shard") / "shard"
    times = np.float32(np.arange(len(frames) + 1)) / fps
    video = StoredVideo(video_id, row, fps, labels, 20.0, dict.fromkeys(ENCODED_KEYS, frames))
    if with_times:
        times = times**2
        video = dataclasses.replace(video, times_sec=times.tolist())
    entry = write_shard(path, [video, video], segment_frames)
    records = records_in(path)
    assert records[: len(records) // 2] == records[len(records) // 2 :]
    assert len(records) == len(entry.offsets) == 2 * -(-len(frames) // segment_frames)
    for number, record in enumerate(records[: len(records) // 2]):
        first = number * segment_frames
        segment = frames[first : first + segment_frames]
        parsed = parse(tf.constant(record), tuple(ENCODED_KEYS))
        assert parsed["id"].numpy().decode() == video_id
        assert (parsed["video"], parsed["fps"], parsed["flow_bound"]) == (row, fps, 20.0)
        assert parsed["label_index"].numpy().tolist() == [label[0] for label in labels]
        assert parsed["label_start"].numpy().tolist() == [label[2] for label in labels]
        assert parsed["label_end"].numpy().tolist() == [label[3] for label in labels]
        np.testing.assert_allclose(
            parsed["times"], times[first : first + len(segment) + 1], rtol=1e-6
        )
        for stream in ENCODED_KEYS:
            assert parsed[stream].numpy().tolist() == segment
        feature = tf.train.SequenceExample.FromString(record).context.feature
        assert list(feature["clip/first_frame"].int64_list.value) == [first]
        assert [text.decode() for text in feature["clip/label/text"].bytes_list.value] == [
            label[1] for label in labels
        ]


def test_the_entry_says_where_segments_lie(tmp_path):
    videos = [StoredVideo(str(n), n, 25.0, [], 20.0, {"rgb": [b"x" * n] * n}) for n in (5, 3, 1)]
    path = tmp_path / "a.tfrecord"
    entry = write_shard(path, videos, 2)
    records = records_in(path)
    assert (entry.file, entry.bytes, entry.frames) == ("a.tfrecord", path.stat().st_size, (5, 3, 1))
    assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    ends = np.cumsum([16 + len(record) for record in records])
    assert entry.offsets == (0, *ends[:-1])
    assert entry.bytes == ends[-1]


def test_equal_videos_give_equal_bytes(tmp_path):
    contents = []
    for order in (("rgb", "objects"), ("objects", "rgb")):
        frames = [{stream: stream.encode() for stream in order}] * 3
        with ShardWriter(tmp_path / "shard") as shard:
            shard.append(StoredVideo("a", 1, 25.0, [], 20.0, iter(frames)))
        contents.append((tmp_path / "shard").read_bytes())
    assert contents[0] == contents[1]


def test_a_full_disk_is_an_error_with_the_systems_words():
    video = StoredVideo("a", 1, 25.0, [], 20.0, [{"rgb": bytes(1 << 20)}] * 3)
    with pytest.raises(tf.errors.OpError) as raised, ShardWriter("/dev/full") as shard:
        shard.append(video)
    assert files.full_disk_reason(raised.value) == "No space left on device"


def test_model_gardens_reader_takes_our_records(tmp_path, stored_videos):
    """Its decoder and its training parser, unchanged, on a segment with all three streams as it is written."""
    from official.vision.configs.video_classification import DataConfig
    from official.vision.dataloaders import video_input

    (video,) = stored_videos(1, length=8, height=32, width=48)
    write_shard(tmp_path / "shard", [video], 6)
    first, _ = records_in(tmp_path / "shard")
    decoded = video_input.Decoder().decode(first)
    assert decoded["image/encoded"].numpy().tolist() == video.frames["rgb"][:6]
    assert decoded["clip/label/index"].numpy().tolist() == [0]

    config = DataConfig(
        feature_shape=(4, 32, 32, 3), num_classes=2, one_hot=True, min_image_size=32
    )
    features, label = video_input.Parser(config).parse_fn(is_training=False)(decoded)
    image = features["image"].numpy()
    assert label.numpy().tolist() == [1.0, 0.0]
    assert image.shape == (4, 32, 32, 3)
    # Frame t is grey t / 255; its centred clip of four begins at frame 1.
    greys = image.mean((1, 2, 3))
    if greys.min() < 0:  # centred at zero
        greys = (greys + 1) / 2
    np.testing.assert_allclose(np.diff(greys * 255), 1, atol=0.3)
