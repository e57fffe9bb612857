"""Stored frames are the decoded ones, within what JPEG and the codes lose."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.objects import object_source
from official_vision.data.optical_flow import dequantise
from official_vision.data.storage import frame_encoding
from official_vision.data.storage.frame_encoding import encode_frame, encode_video
from official_vision.data.storage.frame_file import read_frames
from official_vision.data.video import VideoError
from official_vision.data.video_streams import FrameStreams, video_streams
from official_vision.specs import PrepareSpec

REPOSITORY = Path(__file__).resolve().parents[3]


def image(encoded, flags=cv2.IMREAD_UNCHANGED):
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)


def test_one_frame_of_every_stream(texture):
    colours = np.stack([texture(30, 42, seed) for seed in range(3)], -1)
    flow = np.random.default_rng(0).uniform(-5, 5, (30, 42, 2)).astype(np.float32)
    ids = (np.arange(30 * 42) % 256).astype(np.uint8).reshape(30, 42)
    encoded = encode_frame(FrameStreams(colours, flow, ids, 0.0), 5.0, 95)
    assert np.abs(image(encoded["rgb"])[..., ::-1] - colours.astype(float)).mean() < 4
    x, y = np.split(dequantise(image(encoded["flow"]), 5.0), 2)
    assert np.abs(np.stack([x, y], -1) - flow).max() <= 5 / 254 + 1e-6
    np.testing.assert_array_equal(image(encoded["objects"]), ids)


def test_absent_streams_are_not_stored():
    rgb = np.zeros((8, 8, 3), np.uint8)
    assert set(encode_frame(FrameStreams(rgb, None, None, 0.0), 20.0, 95)) == {"rgb"}


def test_better_quality_is_bigger_and_closer(texture):
    rgb = np.stack([texture(48, 48, seed, blur=1.0) for seed in range(3)], -1)
    streams = FrameStreams(rgb, None, None, 0.0)
    errors, sizes = [], []
    for quality in (20, 60, 100):
        encoded = encode_frame(streams, 20.0, quality)["rgb"]
        errors.append(np.abs(image(encoded)[..., ::-1] - rgb.astype(float)).mean())
        sizes.append(len(encoded))
    assert errors == sorted(errors, reverse=True)
    assert sizes == sorted(sizes)


def test_ids_are_stored_as_they_change(monkeypatch, tmp_path, write_mp4):
    path = write_mp4(tmp_path / "a.mp4", [np.zeros((16, 16, 3), np.uint8)] * 5)
    first, second = np.full((16, 16), 3, np.uint8), np.full((16, 16), 7, np.uint8)
    ids = iter([first, first, second, second, first])
    monkeypatch.setattr(frame_encoding, "object_source", lambda *_: lambda _: next(ids))
    spec = PrepareSpec(videos=str(tmp_path), short_side=16, flow="none")
    video = encode_video(VideoRow("id", path.name, "train", ()), spec, tmp_path)
    stored = [image(frame["objects"])[0, 0] for frame in read_frames(video.frames)]
    assert stored == [3, 3, 7, 7, 3]
    assert video.object_ids == 8


def test_a_span_of_real_footage(footage, tmp_path):
    path = footage["carphone_pristine"]
    spec = PrepareSpec(videos=str(path.parent), short_side=48, flow_bound=8.0, jpeg_quality=95)
    video = encode_video(VideoRow("id", path.name, "train", (), 1.0, 1.3), spec, tmp_path)
    stored = list(read_frames(video.frames))
    expected = list(
        video_streams(
            path,
            short_side=48,
            fps=None,
            flow="dis",
            objects=object_source(PrepareSpec(), path),
            start_sec=1.0,
            end_sec=1.3,
        )
    )
    assert video.fps == pytest.approx(30000 / 1001)
    ticks = np.arange(30, 40) * 1001 / 30000 - 1.0  # frame 30 is the first after 1 s
    np.testing.assert_allclose(video.times_sec, ticks, atol=1e-4)
    assert (video.file_end_sec, video.notes) == (None, {})
    assert len(stored) == 9
    for item, frame in zip(expected, stored, strict=True):
        assert set(frame) == {"rgb", "flow", "objects"}
        assert np.abs(image(frame["rgb"])[..., ::-1] - item.rgb.astype(float)).mean() < 3
        x, y = np.split(dequantise(image(frame["flow"]), 8.0), 2)
        clipped = np.clip(item.flow, -8, 8)
        assert np.abs(np.stack([x, y], -1) - clipped).max() <= 8 / 254 + 1e-5
        np.testing.assert_array_equal(image(frame["objects"]), item.objects)


def test_the_rate_that_is_set_is_stored(footage, tmp_path):
    path = footage["carphone_pristine"]
    spec = PrepareSpec(videos=str(path.parent), short_side=16, fps=5.0, flow="none", objects="none")
    video = encode_video(VideoRow("id", path.name, "train", ()), spec, tmp_path)
    assert video.fps == 5.0
    np.testing.assert_allclose(video.times_sec, np.arange(21) / 5)
    assert len(list(read_frames(video.frames))) == 20  # ticks 0, .2, ... 3.8 of 3.97 s


def test_a_span_without_frames_is_named(footage, tmp_path):
    path = footage["carphone_pristine"]
    spec = PrepareSpec(videos=str(path.parent), short_side=16)
    with pytest.raises(VideoError, match=r"no frame lies between 60\.0 and 70\.0 seconds"):
        encode_video(VideoRow("id", path.name, "train", (), 60.0, 70.0), spec, tmp_path)


@pytest.mark.slow
def test_memory_stays_flat_however_long_a_video_is(tmp_path, write_mp4):
    """Of the process that writes shards and of its child that decodes, but for allocators' habits."""
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for count in (100, 1000):
        write_mp4(tmp_path / f"{count}.mp4", [noise] * count)
    command = [
        sys.executable,
        "-m",
        "tests.data.storage.preparation_memory",
        str(tmp_path),
        "100.mp4",
        "1000.mp4",
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    short, long = ([int(word) for word in line.split()] for line in done.stdout.splitlines())
    further = long[0] - short[0]
    assert further > 20e6  # so that the bound below can fail
    assert max(long[1] - short[1], long[2] - short[2]) < further / 4, done.stdout
