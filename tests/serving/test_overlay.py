"""Annotated videos: what is drawn where, and what the file holds."""

import av
import numpy as np
import pytest

from official_vision.data.streams import FrameStreams
from official_vision.serving.overlay import Annotation, draw_frame, write_overlay

LABELS = ("a", "a very long name of a class that cannot fit", "c", "d", "e", "f", "g")
BLUE, DARK = (70, 160, 250), (60, 60, 60)


def frame(time=0, flow=True, objects=True):
    rgb = np.full((20, 30, 3), 100, np.uint8)
    moving = np.full((20, 30, 2), [5.0, 0], np.float32) if flow else None
    ids = np.full((20, 30), 6, np.uint8) if objects else None
    return FrameStreams(rgb, moving, ids, time / 10)


def bars(picture, width):
    """Length of each blue bar in pixels, from above, and of the dark rest."""
    panel = picture[:, width:]
    blue, dark = ((panel == colour).all(axis=2).sum(axis=1) for colour in (BLUE, DARK))
    inside = blue + dark > 200  # letters have a pixel of any grey
    tops = np.flatnonzero(inside[1:] & ~inside[:-1]) + 1
    return list(zip(blue[tops], dark[tops], strict=True))


def test_bars_are_as_long_as_the_scores():
    scores = np.array([0.5, 0, 1, 0.25, 1.7, 0, 0])
    picture = draw_frame(frame(), scores, LABELS, [2, 0, 3, 1, 4], (540, 360))
    assert picture.shape == (360, 800, 3)
    found = bars(picture, 540)
    assert len(found) == 5
    shares = [blue / (blue + dark) for blue, dark in found]
    np.testing.assert_allclose(shares, [1, 0.5, 0.25, 0, 1], atol=0.01)


def test_flow_lies_in_the_left_corner_and_objects_in_the_right():
    picture = draw_frame(frame(), np.zeros(7), LABELS, [0], (540, 360))
    assert picture[350, 10].tolist() == [255, 0, 0]  # rightwards is red, and this is fast
    objects = picture[350, 530].tolist()
    assert objects not in ([100] * 3, [255] * 3)
    assert picture[100, 270].tolist() == [100] * 3
    plain = draw_frame(frame(flow=False, objects=False), np.zeros(7), LABELS, [0], (540, 360))
    assert (plain[:, :540] == 100).all()


@pytest.mark.parametrize("codecs", [("libx264", "mpeg4"), ("mpeg4",)])
def test_a_video_keeps_its_frames_and_times(tmp_path, monkeypatch, codecs):
    monkeypatch.setattr("official_vision.serving.overlay._CODECS", codecs)
    scores = np.zeros((7, 7))
    scores[:, 0] = np.arange(7) / 6
    # Two frames a tenth of a second, then slower: as files of phones have it.
    times = np.array([0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.1])
    frames = [FrameStreams(*_streams(frame()), time) for time in times[:-1]]
    path = tmp_path / "x.mp4"
    write_overlay(path, iter(frames), Annotation(LABELS, scores, times))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == {"libx264": "h264"}.get(codecs[0], "mpeg4")
        read = list(container.decode(stream))
    assert [picture.time for picture in read] == pytest.approx(times[:-1], abs=1e-3)
    first, last = (
        picture.to_ndarray(format="rgb24").astype(int) for picture in (read[0], read[-1])
    )
    # The first class's bar is full in the last frame and empty in the first.
    row = slice(91, 99)
    assert first[row, 560:780, 2].mean() < 90
    assert last[row, 560:780, 2].mean() > 200
    assert list(tmp_path.iterdir()) == [path]


def _streams(own):
    return own.rgb, own.flow, own.objects
