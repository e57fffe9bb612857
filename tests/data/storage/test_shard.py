"""Records: what is written is read; equal videos give equal bytes; Model Garden reads them too."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.optical_flow import dequantise
from official_vision.data.storage.frame_lists import FrameLists
from official_vision.data.storage.shard import ENCODED_KEYS, StoredVideo, decode_frame, parse, write
from tests.data.records import encode, original, write_shard

TIMES = st.floats(0, 1000, width=32)
LABELS = st.lists(st.tuples(st.integers(0, 999), st.text(max_size=5), TIMES, TIMES), max_size=4)


@given(
    st.text(),
    st.integers(0, 2**40),
    st.floats(1, 240, width=32),
    LABELS,
    st.lists(st.binary(max_size=4), max_size=4),
)
def test_a_record_keeps_everything(video_id, row, fps, labels, frames):
    video = StoredVideo(video_id, row, fps, labels, 20.0, dict.fromkeys(ENCODED_KEYS, frames))
    record = parse(tf.constant(encode(video)), tuple(ENCODED_KEYS))
    assert record["id"].numpy().decode() == video_id
    assert (record["video"], record["fps"], record["flow_bound"]) == (row, fps, 20.0)
    assert record["label_index"].numpy().tolist() == [label[0] for label in labels]
    assert record["label_start"].numpy().tolist() == [label[2] for label in labels]
    assert record["label_end"].numpy().tolist() == [label[3] for label in labels]
    for stream in ENCODED_KEYS:
        assert record[stream].numpy().tolist() == frames


@given(
    st.text(),
    LABELS,
    # Lengths of frames beside 2 ** 7 and 2 ** 14, where lengths take another byte.
    st.dictionaries(
        st.sampled_from(sorted(ENCODED_KEYS)),
        st.lists(
            st.sampled_from([0, 1, 100, 119, *range(120, 132), 16_375, 16_384, 70_000]),
            min_size=1,
            max_size=6,
        ),
        min_size=1,
    ),
)
def test_what_is_written_piece_by_piece_is_what_protobuf_and_tensorflow_write(
    tmp_path_factory, video_id, labels, sizes
):
    folder = tmp_path_factory.mktemp("shard")
    frames = {
        name: [b"\xff\xd8" + bytes([number]) * size for number, size in enumerate(counts)]
        for name, counts in sizes.items()
    }
    video = StoredVideo(video_id, 3, 29.97, labels, 20.0, frames)
    write_shard(folder / "actual", [video, video])
    (stored_example, again) = tf.data.TFRecordDataset(str(folder / "actual")).as_numpy_iterator()
    assert stored_example == again
    lists = tf.train.SequenceExample.FromString(stored_example).feature_lists.feature_list
    stored = {
        name: [feature.bytes_list.value[0] for feature in lists[ENCODED_KEYS[name]].feature]
        for name in frames
    }
    assert {name: list(map(original, encoded)) for name, encoded in stored.items()} == frames
    with tf.io.TFRecordWriter(str(folder / "expected")) as writer:
        for _ in range(2):
            writer.write(encode(dataclasses.replace(video, frames=stored)))
    assert (folder / "actual").read_bytes() == (folder / "expected").read_bytes()


def test_equal_videos_give_equal_bytes(tmp_path):
    contents = []
    for order in (("rgb", "objects"), ("objects", "rgb")):
        with FrameLists(tmp_path) as lists:
            for stream in order:
                lists.append({stream: b"\xff\xd8" + stream.encode()})
        with open(tmp_path / "shard", "wb") as file:
            write(StoredVideo("a", 1, 25.0, [], 20.0, lists.paths), file)
        contents.append((tmp_path / "shard").read_bytes())
    assert contents[0] == contents[1]


def test_only_the_requested_streams_are_read(stored_videos):
    (video,) = stored_videos(1)
    record = parse(tf.constant(encode(video)), ("flow",))
    assert record["flow"].numpy().tolist() == video.frames["flow"]
    assert "rgb" not in record
    assert "objects" not in record


@pytest.mark.parametrize("graph", [False, True])
def test_frames_are_decoded_as_opencv_does(texture, graph):
    decode = tf.function(decode_frame) if graph else decode_frame
    rgb = np.stack([texture(21, 34, seed) for seed in range(3)], -1)
    jpeg = cv2.imencode(".jpg", rgb[..., ::-1])[1]
    expected = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1]
    actual = decode(tf.constant(jpeg.tobytes()), "rgb", tf.constant(1.0)).numpy()
    assert np.abs(actual - expected.astype(int)).max() <= 4
    assert np.abs(actual - expected.astype(int)).mean() < 0.5

    codes = np.random.default_rng(0).integers(1, 256, (2, 21, 34), dtype=np.uint8)
    png = tf.constant(cv2.imencode(".png", np.concatenate(codes))[1].tobytes())
    flow = decode(png, "flow", tf.constant(7.5)).numpy()
    np.testing.assert_allclose(flow, dequantise(np.moveaxis(codes, 0, -1), 7.5), rtol=1e-6)

    ids = tf.constant(cv2.imencode(".png", codes[0])[1].tobytes())
    np.testing.assert_array_equal(decode(ids, "objects", tf.constant(1.0))[..., 0], codes[0])


def test_model_gardens_reader_takes_our_records(tmp_path, stored_videos):
    """Its decoder and its training parser, unchanged, on a record with all three streams as it is written."""
    from official.vision.configs.video_classification import DataConfig
    from official.vision.dataloaders import video_input

    (video,) = stored_videos(1, length=6, height=32, width=48)
    write_shard(tmp_path / "shard", [video])
    (record,) = tf.data.TFRecordDataset(str(tmp_path / "shard"))
    decoded = video_input.Decoder().decode(record)
    assert list(map(original, decoded["image/encoded"].numpy())) == video.frames["rgb"]
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
