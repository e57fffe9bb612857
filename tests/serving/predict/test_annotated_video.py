"""Annotated videos: what is drawn where, and the file's content."""

import av
import numpy as np
import pytest

from official_vision.data.video import Frame
from official_vision.data.video_streams import FrameStreams
from official_vision.serving.predict.annotated_video import (
    Annotation,
    ShownFrame,
    draw_frame,
    shown_frames,
    write_overlay,
)

LABELS = ("a", "a very long name of a class that cannot fit", "c", "d", "e", "f", "g")
BLUE, DARK = (70, 160, 250), (60, 60, 60)


def frame(time=0, flow=True, objects=True):
    rgb = np.full((20, 30, 3), 100, np.uint8)
    moving = np.full((20, 30, 2), [5.0, 0], np.float32) if flow else None
    ids = np.full((20, 30), 6, np.uint8) if objects else None
    return ShownFrame(rgb, time / 10, time, FrameStreams(rgb, moving, ids, time / 10))


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
    bars_drawn = bars(picture, 540)
    assert len(bars_drawn) == 5
    shares = [blue / (blue + dark) for blue, dark in bars_drawn]
    np.testing.assert_allclose(shares, [1, 0.5, 0.25, 0, 1], atol=0.01)


def test_flow_lies_in_the_left_corner_and_objects_in_the_right():
    picture = draw_frame(frame(), np.zeros(7), LABELS, [0], (540, 360))
    assert picture[350, 10].tolist() == [255, 0, 0]  # rightwards is red, and this is fast
    objects = picture[350, 530].tolist()
    assert objects not in ([100] * 3, [255] * 3)
    assert picture[100, 270].tolist() == [100] * 3
    # Captions above them: white letters on dark.
    for caption in (picture[250:268, 2:133], picture[250:268, 408:538]):
        assert (caption == 24).all(axis=2).mean() > 0.4
        assert caption.max() > 200
    plain = draw_frame(frame(flow=False, objects=False), np.zeros(7), LABELS, [0], (540, 360))
    assert (plain[:, :540] == 100).all()


def test_large_frames_are_drawn_as_they_are():
    """To the pixel where nothing lies over them; bars and letters grow with them."""
    large = np.random.default_rng(0).integers(0, 255, (720, 1080, 3)).astype(np.uint8)
    shown = ShownFrame(large, 0.0, 0, frame().streams)
    picture = draw_frame(shown, np.array([0.5] * 7), LABELS, [0, 1, 2, 3, 4], (1080, 720))
    assert picture.shape == (720, 1600, 3)
    np.testing.assert_array_equal(picture[:490, :1080], large[:490])
    tops = bars(picture, 1080)
    assert len(tops) == 5
    np.testing.assert_allclose([blue / (blue + dark) for blue, dark in tops], 0.5, atol=0.01)


@pytest.mark.parametrize(
    ("height", "width", "drawn"),
    # Of its size, with black below where the panel is higher; enlarged; made even; no side too long.
    [
        (360, 640, (360, 900)),
        (272, 640, (360, 900)),
        (96, 128, (360, 580)),
        (361, 481, (360, 740)),
        (8, 2048, (360, 4356)),
        (5000, 100, (4096, 342)),
    ],
)
def test_the_pictures_size_follows_the_videos(tmp_path, height, width, drawn):
    path = tmp_path / "x.mp4"
    rgb = np.full((height, width, 3), 200, np.uint8)
    shown = ShownFrame(rgb, 0.0, 0, frame().streams)
    write_overlay(path, [shown], Annotation(LABELS, np.zeros((1, 7)), np.array([0, 0.1])))
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    assert (picture.height, picture.width) == drawn


def test_every_frame_of_the_source_is_shown_with_the_latest_that_was_fed():
    """A source of 10 frames per second, fed at 4 a second and at 20."""
    source = [Frame(np.full((2, 2, 3), n, np.uint8), n / 10, n) for n in range(8)]
    slow = [FrameStreams(np.zeros((1, 1, 3)), None, None, n / 4) for n in range(3)]
    paired = list(shown_frames(source, slow))
    assert [item.number for item in paired] == [0, 0, 0, 1, 1, 2, 2, 2]
    assert [item.streams for item in paired] == [slow[item.number] for item in paired]
    assert [item.time_sec for item in paired] == [frame.time_sec for frame in source]
    assert all(item.rgb is frame.rgb for item, frame in zip(paired, source, strict=True))
    fast = [FrameStreams(np.zeros((1, 1, 3)), None, None, n / 20) for n in range(15)]
    assert [item.number for item in shown_frames(source, fast)] == list(range(0, 15, 2))
    # A last picture that lasts long: shown with what is fed until it ends.
    last = [
        *shown_frames(source, [*slow, *(FrameStreams(slow[0].rgb, None, None, t) for t in (1, 2))])
    ]
    assert [(item.time_sec, item.number) for item in last[8:]] == [(1, 3), (2, 4)]
    assert last[-1].rgb is source[-1].rgb


@pytest.mark.parametrize("codecs", [("libx264", "mpeg4"), ("mpeg4",)])
def test_a_video_keeps_its_frames_and_times(tmp_path, monkeypatch, codecs):
    monkeypatch.setattr("official_vision.serving.predict.annotated_video._CODECS", codecs)
    scores = np.zeros((7, 7))
    scores[:, 0] = np.arange(7) / 6
    # Two frames a tenth of a second, then slower: as files of phones have it.
    times = np.array([0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.1])
    shown = frame()
    frames = [ShownFrame(shown.rgb, t, n, shown.streams) for n, t in enumerate(times[:-1])]
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
