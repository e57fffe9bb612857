"""Streams of one video: flow leads from each frame to the next, ids are repeated between detections."""

import numpy as np
import pytest

from official_vision.data import objects
from official_vision.data import video_streams as streams
from official_vision.data.objects import DETECTION_INTERVAL
from official_vision.data.video import decode
from official_vision.data.video_streams import video_streams
from official_vision.specs import PrepareSpec

NOTHING = {"short_side": None, "fps": None, "flow": "none", "objects": None}


@pytest.fixture
def moving(tmp_path, write_mp4, texture):
    """8 frames of a texture; it moves by 0, 1, 2, ... pixels to the right a frame."""
    picture = texture(64, 128)
    starts = 40 - np.cumsum([0, 0, 1, 2, 3, 4, 5, 6])
    frames = [np.repeat(picture[:, s : s + 64, np.newaxis], 3, axis=2) for s in starts]
    return write_mp4(tmp_path / "moving.mp4", frames, crf="4")


def test_flow_leads_to_the_next_frame_and_the_last_repeats(moving):
    items = list(video_streams(moving, **{**NOTHING, "flow": "dis"}))
    speeds = [np.median(item.flow[..., 0]) for item in items]
    np.testing.assert_allclose(speeds, [0, 1, 2, 3, 4, 5, 6, 6], atol=0.25)
    np.testing.assert_allclose([np.median(item.flow[..., 1]) for item in items], 0, atol=0.1)
    np.testing.assert_array_equal(items[-1].flow, items[-2].flow)


def test_tvl1_is_chosen_by_name(moving):
    items = list(video_streams(moving, **{**NOTHING, "flow": "tvl1"}))
    grey = [streams.grey(item.rgb) for item in items]
    np.testing.assert_array_equal(items[1].flow, streams.optical_flow.tvl1_flow(grey[1], grey[2]))


def test_frames_are_the_decoders(moving):
    expected = list(decode(moving, 32, 10, 0.1, 0.25))
    settings = {**NOTHING, "short_side": 32, "fps": 10, "start_sec": 0.1, "end_sec": 0.25}
    items = list(video_streams(moving, **settings))
    assert [item.time_sec for item in items] == [item.time_sec for item in expected]
    np.testing.assert_array_equal([i.rgb for i in items], [i.rgb for i in expected])
    assert items[0].flow is None
    assert items[0].objects is None


def test_a_single_frame_has_no_flow(tmp_path, write_mp4):
    path = write_mp4(tmp_path / "one.mp4", [np.full((32, 48, 3), 90, np.uint8)])
    (only,) = video_streams(path, **{**NOTHING, "flow": "dis"})
    assert only.flow.dtype == np.float32
    np.testing.assert_array_equal(only.flow, np.zeros((32, 48, 2)))


def test_detections_are_repeated(monkeypatch, tmp_path, write_mp4):
    count = 2 * DETECTION_INTERVAL + 1
    frames = [np.full((32, 32, 3), 10 * number, np.uint8) for number in range(count)]
    path = write_mp4(tmp_path / "a.mp4", frames)

    def by_grey(rgb):
        return np.full(rgb.shape[:2], round(rgb.mean() / 10), np.uint8)

    monkeypatch.setattr(objects, "opencv_detectors", lambda: by_grey)
    source = objects.object_source(PrepareSpec(objects="opencv"), path)
    items = list(video_streams(path, **{**NOTHING, "objects": source}))
    numbers = [number // DETECTION_INTERVAL * DETECTION_INTERVAL for number in range(count)]
    assert [int(item.objects[0, 0]) for item in items] == numbers


def test_the_fast_flow_is_that_of_another_solver(moving):
    exact, fast = (
        np.stack([item.flow for item in video_streams(moving, **{**NOTHING, "flow": method})])
        for method in ("dis", "dis_fast")
    )
    assert (fast != exact).any()
    np.testing.assert_allclose(np.median(fast, (1, 2)), np.median(exact, (1, 2)), atol=0.25)


def test_frames_are_not_kept(monkeypatch):
    """However long the video, two frames are alive: the one yielded and the one after it."""
    alive = []

    def frames(*_, **__):
        for number in range(50):
            alive.append(number)
            yield streams.Frame(np.zeros((4, 4, 3), np.uint8), number / 25, number)

    monkeypatch.setattr(streams, "decode", frames)
    for number, item in enumerate(video_streams("any", **NOTHING)):
        assert item.time_sec == number / 25
        assert len(alive) <= number + 2
