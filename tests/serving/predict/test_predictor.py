"""Whole videos by an exported file: times, windows, merging and features, by numbers."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf

from official_vision.data import video_streams as data_streams
from official_vision.data.input.pipeline import build_dataset
from official_vision.data.storage import frame_encoding
from official_vision.data.video import VideoError, decode
from official_vision.errors import UserError
from official_vision.serving.export.description import description_of_run
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.predictor import Predictor
from official_vision.serving.predict.video_clips import Feeder
from official_vision.specs import DataSpec, PrepareSpec
from tests.serving import exports

BRIGHT, LATE = 0, 1  # columns of the scores
SMALL = PrepareSpec(short_side=32)
# The frames' scores as they are, which this network makes easy to work out.
PLAIN = {"merge": "frames", "smoothing_sec": 0, "hysteresis": 0, "shortest_sec": 0}


def fed(predictor):
    """Lets a predictor note every batch that its network is fed."""
    batches, serve = [], predictor._serve

    def noting(**features):
        batches.append({name: x.numpy() for name, x in features.items()})
        return serve(**features)

    noting.stems = ()  # this file shares none
    predictor._serve = noting
    return batches


def brightness(path):
    return np.array([frame.rgb.mean() for frame in decode(path)]) / 255


def test_each_frame_has_a_score_and_a_time(predictor, brightening):
    result = predictor(PredictOptions(**PLAIN)).predict(brightening)
    assert result.frame_scores.shape == (23, 4)
    expected = brightness(brightening)
    assert np.diff(expected).min() > 0.03  # frames can't be mistaken for one another
    np.testing.assert_allclose(result.frame_scores[:, BRIGHT], expected, atol=1e-3)
    np.testing.assert_allclose(result.times_sec, np.arange(24) / 10, atol=1e-6)


def test_half_a_window_is_the_usual_stride(predictor, brightening):
    usual, half = (
        predictor(options=PredictOptions(stride=stride)).predict(brightening)
        for stride in (None, 2)
    )
    np.testing.assert_array_equal(usual.frame_scores, half.frame_scores)
    np.testing.assert_array_equal(usual.scores, half.scores)


def test_frames_between_the_steps_of_a_clip_take_the_score_before_them(predictor, brightening):
    options = PredictOptions(stride=12, **PLAIN)
    result = predictor(frame_stride=3, options=options).predict(brightening)
    shown = brightness(brightening)
    seen = np.zeros(23, bool)
    for start in (0, 11):
        seen[start : start + 12 : 3] = True
    before = [max(s for s in range(t + 1) if seen[s]) for t in range(23)]
    np.testing.assert_allclose(result.frame_scores[:, BRIGHT], shown[before], atol=1e-3)


def test_windows_clip_scores_are_pooled(predictor, brightening):
    """A clip's score is its last frame's: frames 3, 7, 11, 15, 19 and 22."""
    shown = brightness(brightening)[[3, 7, 11, 15, 19, 22]]
    for pooling, expected in (("mean", shown.mean()), ("max", shown.max())):
        options = PredictOptions(stride=4, pooling=pooling, batch_size=4)
        result = predictor(options=options).predict(brightening)
        assert result.scores[BRIGHT] == pytest.approx(expected, abs=1e-3)


def test_a_window_may_be_set(predictor, brightening):
    """Windows of 10 frames, two steps apart, see 20 frames of the video at a time."""
    predicting = predictor(PredictOptions(window=10), frame_stride=2)
    batches = fed(predicting)
    result = predicting.predict(brightening)
    assert (predicting.window_frames, predicting.stride) == (20, 10)
    assert batches[0]["rgb"].shape[1] == 10
    shown = brightness(brightening)[[18, 21]]  # the last frames of windows at 0 and 3
    assert result.scores[BRIGHT] == pytest.approx(shown.mean(), abs=1e-3)


def test_what_overlapping_windows_share_is_reported(predictor):
    assert "overlap by 3 of 4 frames" in predictor(PredictOptions(stride=1)).sharing()
    assert (
        "decoding, flow and objects are done once per frame"
        in predictor(PredictOptions()).sharing()
    )
    assert predictor(PredictOptions(stride=4)).sharing() == ""


def test_flow_that_the_network_computes_is_not_reported_as_shared(predictor):
    predicting = predictor(PredictOptions(stride=1))
    nodes, lines = ("0 (rgb)", "1 (flow)", "2 (level 1)"), []
    for streams in (("rgb",), ("rgb", "objects")):
        predicting.description = dataclasses.replace(
            predicting.description, streams=streams, nodes=nodes
        )
        lines.append(predicting.sharing())
    assert ": decoding is done once per frame, the flow that the network computes" in lines[0]
    assert ": decoding and objects are done once per frame, the flow that" in lines[1]


def test_what_sharing_stems_could_save_is_reported(exported):
    """Two overlapping windows compute half of their frames' stems twice."""
    predicting = Predictor(exported[1], PredictOptions(stride=2))
    share = predicting.description.stem_share
    assert 0.01 < share < 1
    assert f"These stems are {share:.1%} of the arithmetic" in predicting.sharing()
    assert f"save at most {share / 2:.1%};" in predicting.sharing()


def test_the_batch_size_changes_nothing(predictor, brightening):
    results = [
        predictor(options=PredictOptions(batch_size=size)).predict(brightening)
        for size in (1, 4, 100)
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result.frame_scores, results[0].frame_scores, atol=1e-6)
        np.testing.assert_allclose(result.scores, results[0].scores, atol=1e-6)


@pytest.mark.parametrize(
    ("frame_stride", "fill", "shown"),
    [
        (1, "loop", [0, 1, 2, 0]),
        (1, "hold", [0, 1, 2, 2]),
        (2, "loop", [0, 2, 1, 0]),
        (2, "hold", [0, 2, 2, 2]),
    ],
)
def test_a_short_video_fills_its_clip_as_in_evaluation(
    predictor, brightening, tmp_path, frame_stride, fill, shown
):
    short = exports.first_frames(brightening, 3, tmp_path / "short.mp4")
    options = PredictOptions(**PLAIN)
    short_predictor = predictor(options, frame_stride=frame_stride, short_video=fill)
    batches = fed(short_predictor)
    result = short_predictor.predict(short)
    levels = brightness(short)
    (batch,) = batches
    np.testing.assert_allclose(batch["rgb"].mean(axis=(0, 2, 3, 4)) / 255, levels[shown], atol=2e-3)
    assert result.frame_scores.shape == (3, 4)
    assert len(result.times_sec) == 4
    places = [[i / 4 for i, frame in enumerate(shown) if frame == t] for t in range(3)]
    expected = [np.mean(places[t] or places[t - 1]) for t in range(3)]  # one frame, one weight
    np.testing.assert_allclose(result.frame_scores[:, LATE], expected, atol=1e-6)


def test_a_video_of_one_frame(predictor, brightening, tmp_path):
    single = exports.first_frames(brightening, 1, tmp_path / "single.mp4")
    for frame_stride in (1, 2):
        result = predictor(frame_stride=frame_stride).predict(single)
        assert result.frame_scores.shape == (1, 4)
        assert result.times_sec[1] > 0


@pytest.mark.parametrize("frame_stride", [1, 2, 3])
def test_flow_is_summed_over_a_step_and_scaled_with_the_picture(predictor, drifting, frame_stride):
    """2 pixels per frame at 64 pixels are 1 at the short side of 32 and 0.5 in clips of 16."""
    moving = predictor(frame_stride=frame_stride)
    batches = fed(moving)
    moving.predict(drifting)
    flow = np.concatenate([batch["flow"] for batch in batches])
    centre = flow[:, :, 4:12, 4:12]
    np.testing.assert_allclose(np.median(centre[..., 0]), 0.5 * frame_stride, atol=0.1)
    np.testing.assert_allclose(np.median(centre[..., 1]), 0, atol=0.05)
    # The last frame's flow leads on into the video, not back to the window's start.
    np.testing.assert_allclose(
        np.median(centre[:, -1, ..., 0]), np.median(centre[:, 0, ..., 0]), atol=0.1
    )


def stored(path, videos, clip, preparation=SMALL):
    """(view -> features) of the only video, as evaluation cuts them."""
    index = exports.write_split(path, videos, preparation)
    wanted = ("rgb", "flow", "objects")
    batches = build_dataset(DataSpec(path=str(path), **clip), index, wanted, training=False)
    return [{k: v.numpy()[0] for k, v in features.items()} for features, _ in batches]


@pytest.mark.parametrize(
    ("count", "clip", "stride", "pairs"),
    [
        # Views begin at frames 0 and 17; windows at 0, 2, ..., 16, 17.
        (21, {"frames": 4, "views": 2}, 2, [(0, 0), (1, -1)]),
        # Views begin at 0, 7 and 14; windows at 0, 7 and 13.
        (21, {"frames": 4, "frame_stride": 2, "views": 3}, 7, [(0, 0), (1, 1)]),
        (3, {"frames": 4, "frame_stride": 2}, None, [(0, 0)]),
        (3, {"frames": 4, "frame_stride": 2, "short_video": "hold"}, None, [(0, 0)]),
    ],
)
def test_a_window_holds_what_evaluation_feeds(
    predictor, footage, tmp_path, monkeypatch, count, clip, stride, pairs
):
    """To the bit, once the shards lose nothing: TensorFlow reads a PNG where it expects a JPEG."""
    encode = frame_encoding._image
    monkeypatch.setattr(frame_encoding, "_image", lambda _, pixels, __: encode(".png", pixels, []))
    video = exports.first_frames(footage["carphone_pristine"], count, tmp_path / "clip.mp4")
    clip = {"size": 24, **clip}
    views = stored(tmp_path / "split", [video], {"batch_size": 1, **clip})
    settings = {name: value for name, value in clip.items() if name != "views"}
    predicting = predictor(PredictOptions(stride=stride), **settings)
    batches = fed(predicting)
    predicting.predict(video)
    windows = {
        name: np.concatenate([batch[name] for batch in batches])
        for name in ("rgb", "flow", "objects")
    }
    assert windows["flow"].any()
    for view, window in pairs:
        np.testing.assert_array_equal(windows["rgb"][window], views[view]["rgb"])
        np.testing.assert_array_equal(windows["objects"][window], views[view]["objects"])
        np.testing.assert_allclose(windows["flow"][window], views[view]["flow"], atol=1e-5)


@pytest.mark.parametrize("streams", [("rgb", "flow", "objects"), ("objects",)])
def test_motion_ids_are_those_of_the_shards(footage, tmp_path, streams):
    """Also for a network that reads no flow, which the ids still need."""
    preparation = PrepareSpec(short_side=32, objects="motion")
    video = exports.first_frames(footage["carphone_pristine"], 8, tmp_path / "clip.mp4")
    clip = {"frames": 4, "frame_stride": 2, "size": 24}
    (view,) = stored(tmp_path / "split", [video], {"batch_size": 1, **clip}, preparation)
    described = description_of_run(exports.LABELS, streams, preparation.to_dict(), DataSpec(**clip))
    features = Feeder(described).first_clip(video)
    assert set(features) == set(streams)
    np.testing.assert_array_equal(features["objects"], view["objects"])
    assert view["objects"].any()


def test_flow_beyond_the_bound_is_clipped_as_in_the_shards(known_scores, drifting, monkeypatch):
    large = np.full((32, 32, 2), [30.0, -50.0], np.float32)
    monkeypatch.setattr(data_streams.optical_flow, "dis_flow", lambda **_: lambda *_: large)
    predicting = Predictor(exports.with_clip(known_scores, size=32))
    batches = fed(predicting)
    predicting.predict(drifting)
    np.testing.assert_allclose(batches[0]["flow"][..., 0], 20, atol=1e-5)
    np.testing.assert_allclose(batches[0]["flow"][..., 1], -20, atol=1e-5)


def test_frames_are_decoded_once_and_stored_for_one_batch(predictor, brightening, monkeypatch):
    read, most_ahead, calls = [], [], []

    def counted(*arguments, **settings):
        calls.append(arguments)
        for frame in decode(*arguments, **settings):
            read.append(frame)
            yield frame

    monkeypatch.setattr(data_streams, "decode", counted)
    watched = predictor(PredictOptions(stride=2, batch_size=2))
    serve = watched._serve

    def noting(**features):
        most_ahead.append(len(read))
        return serve(**features)

    noting.stems = ()
    watched._serve = noting
    watched.predict(brightening)
    assert (len(calls), len(read)) == (1, 23)
    # Batch k ends with window 2k + 1, so with frame 4k + 5; flow needs the frame after it.
    assert most_ahead[:4] == [7, 11, 15, 19]


def test_threads_do_not_matter(predictor, drifting):
    results = []
    threads = cv2.getNumThreads()
    try:
        for count in (1, 4):
            cv2.setNumThreads(count)
            results.append(predictor().predict(drifting))
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(results[0].frame_scores, results[1].frame_scores)


def test_samples_are_spread_over_the_video(predictor, brightening):
    result = predictor().predict(brightening)
    times = [time for time, _ in result.samples]
    assert len(times) == 6
    # The middles of six parts of 23 frames are 1.9, 5.75, ...: frames that begin half a frame before.
    np.testing.assert_allclose(times, np.rint((np.arange(6) + 0.5) / 6 * 23 - 0.5) / 10)
    shown = brightness(brightening)
    for time, picture in result.samples:
        assert picture.mean() / 255 == pytest.approx(shown[round(time * 10)], abs=2e-3)


def test_mistakes_are_one_line(known_scores, tmp_path):
    with pytest.raises(UserError, match="official-vision export") as caught:
        Predictor(tmp_path)
    assert str(tmp_path) in str(caught.value)
    loaded = Predictor(exports.with_clip(known_scores))
    for stride in (0, 5):
        with pytest.raises(UserError, match=rf"4 frames\. Received: {stride}"):
            Predictor(known_scores, PredictOptions(stride=stride))
    with pytest.raises(VideoError, match="no such video"):
        loaded.predict(tmp_path / "missing.mp4")


@pytest.mark.parametrize("damage", ["missing", "cut", "garbage"])
def test_a_damaged_file_is_refused(tmp_path, known_scores, damage):
    tf.io.gfile.makedirs(str(tmp_path / "1" / "assets"))
    exports.with_clip(tmp_path)
    graph = (known_scores / "1" / "saved_model.pb").read_bytes()
    content = {"cut": graph[: len(graph) // 2], "garbage": b"\xff" * 99}.get(damage)
    if content:
        (tmp_path / "1" / "saved_model.pb").write_bytes(content)
    with pytest.raises(UserError, match="must be whole") as caught:
        Predictor(tmp_path)
    assert "\n" not in str(caught.value)
