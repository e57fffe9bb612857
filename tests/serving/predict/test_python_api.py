"""Predictions and features in Python: every source gives the scores of the file that holds the same frames."""

from __future__ import annotations

import dataclasses
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

import official_vision as ov
from official_vision.data.video import VideoError, decode
from official_vision.serving.predict.video_clips import Feeder
from tests.serving import exports


@pytest.fixture(scope="module")
def predictor(known_scores):
    return ov.Predictor(exports.with_clip(known_scores), merge="frames", smoothing_sec=0)


@pytest.fixture(scope="module")
def frames(brightening):
    return [frame.rgb for frame in decode(brightening)]


@pytest.mark.parametrize("kind", ["array", "pairs", "late pairs"])
def test_frames_in_memory_are_predicted_as_their_file(kind, predictor, brightening, frames) -> None:
    expected = predictor(brightening)
    if kind == "array":
        result = predictor(np.stack(frames), fps=10)
    else:
        start = 50.0 if kind == "late pairs" else 0.0
        result = predictor((start + t / 10, frame) for t, frame in enumerate(frames))
    np.testing.assert_allclose(result.frame_scores, expected.frame_scores, atol=1e-3)
    np.testing.assert_allclose(result.scores, expected.scores, atol=1e-3)
    np.testing.assert_allclose(result.times_sec, expected.times_sec, atol=1e-6)
    assert predictor.labels == result.labels == exports.LABELS


def test_a_folder_s_videos_come_by_path_without_broken_ones(
    predictor, brightening, tmp_path
) -> None:
    (tmp_path / "inside").mkdir()
    video = tmp_path / "inside" / "a.mp4"
    shutil.copy(brightening, video)
    (tmp_path / "broken.mp4").write_bytes(b"\0" * 100)
    with pytest.warns(UserWarning, match="left out: .*broken.mp4"):
        predictions = predictor(tmp_path)
    assert list(predictions) == [str(video)]
    np.testing.assert_array_equal(predictions[str(video)].scores, predictor(brightening).scores)


BLACK = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("source", "fps", "rule"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), None, "need a rate above 0. Received: fps=None"),
        (np.zeros((2, 8, 8, 3), np.uint8), -1, "need a rate above 0. Received: fps=-1"),
        (np.zeros((2, 8, 8, 3), np.float32), 25, "uint8 [time, height, width, 3]"),
        (np.zeros((0, 8, 8, 3), np.uint8), 25, "Received: uint8 [0, 8, 8, 3]"),
        ([(0.0, BLACK), (0.0, BLACK)], None, "times must rise. Received: 0.0 s after 0.0 s"),
        ([(0.0, BLACK), (float("nan"), BLACK)], None, "times must rise. Received: nan"),
        ([(0.0, BLACK[..., 0])], None, "a frame must be uint8 [height, width, 3]"),
        ([BLACK], None, "pairs (seconds, frame). Received: ndarray"),
        ([], None, "there is no frame"),
        (3, None, "a path, an array, or an iterable"),
    ],
)
def test_what_is_no_video_is_named(source, fps, rule, predictor) -> None:
    with pytest.raises(VideoError, match=re.escape(rule)):
        predictor(source, fps=fps)


def test_unknown_options_are_named(known_scores) -> None:
    with pytest.raises(ov.UserError, match=r"Received: 'strid'\. Did you mean 'stride'"):
        ov.Predictor(known_scores, strid=2)


@pytest.fixture(scope="module")
def trained(run):
    """As of a run with preparation settings."""
    loaded = ov.load_run(run[0])
    preparation = ov.PrepareSpec(short_side=32)
    return dataclasses.replace(loaded, labels=exports.LABELS, preparation=preparation)


def test_features_are_means_over_the_windows_that_show_a_frame(trained, brightening) -> None:
    frames = trained.config.validation_data.frames
    result = ov.extract_features(trained, brightening, stride=frames - 1)
    count = len(result.times_sec)
    node = str(result.node)
    assert result.node == len(trained.network.architecture.nodes) - 1
    assert result.values.shape == (count, trained.network.plan[result.node].output_channels)
    alone = ov.extract_features(trained, brightening, stride=frames)
    # Windows of every frame but one, and a last one that ends with the video.
    starts = sorted({*range(0, count - frames + 1, frames - 1), count - frames})
    sums, weights = np.zeros_like(result.values), np.zeros((count, 1))
    windows = {}
    for start in starts:
        windows[start] = _window(trained, brightening, start, node)
        for place in range(frames):
            weight = 1 - abs(2 * (place + 0.5) / frames - 1)
            sums[start + place] += weight * windows[start][place]
            weights[start + place] += weight
    np.testing.assert_allclose(result.values, sums / weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone.values[:frames], windows[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.times_sec, np.arange(count) / 10, atol=1e-6)


def _window(run, video, start, node):
    from official_vision.api.features import _description

    clip = Feeder(_description(run)).first_clip(video, start / 10 - 0.01)
    endpoint = run.network.endpoints({k: x[tf.newaxis] for k, x in clip.items()}, training=False)
    return tf.reduce_mean(endpoint[node], axis=[1, 2]).numpy()


def test_features_need_a_node_and_a_preparation(trained, run, brightening) -> None:
    with pytest.raises(ov.UserError, match="Received: 99"):
        ov.extract_features(trained, brightening, node=99)
    with pytest.raises(ov.UserError, match="stride must be from 1"):
        ov.extract_features(trained, brightening, stride=0)
    with pytest.raises(ov.UserError, match="preparation settings of its videos"):
        ov.extract_features(run[0], brightening)
