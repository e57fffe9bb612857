"""Records without their frames, and frames as OpenCV decodes them."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from official_vision.data.optical_flow import dequantise
from official_vision.data.storage.shard import decode_frame, parse
from tests.data.records import records_in, write_shard


def test_only_the_streams_asked_for_are_read(tmp_path, stored_videos):
    (video,) = stored_videos(1)
    write_shard(tmp_path / "shard", [video])
    (content,) = records_in(tmp_path / "shard")
    record = parse(tf.constant(content), ("flow",))
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
