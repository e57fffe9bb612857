"""Synthetic videos and shards for the tests of data: textures that move by known amounts."""

from __future__ import annotations

import functools
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from official_vision.data.optical_flow import quantise
from official_vision.data.storage.index import Index
from official_vision.data.storage.label_summary import label_summary
from official_vision.data.storage.shard_writer import StoredVideo
from tests.data.records import write_shard


def texture(height, width, seed=0, blur=3.0):
    """A smooth random grey picture, uint8 [height, width]."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    smooth = cv2.GaussianBlur(noise, (0, 0), blur)
    low, high = smooth.min(), smooth.max()
    return np.uint8(np.rint(255 * (smooth - low) / (high - low)))


def write_mp4(path, frames, *, rate=25, rotation=None, times_ms=None, crf="12"):
    """Writes uint8 [height, width, 3] frames; the header lies at the file's start."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(rate), options={"crf": crf, "threads": "1"}
        )
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if rotation is not None:
            stream.set_display_rotation(rotation)
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            if times_ms is not None:
                picture.pts, picture.time_base = times_ms[number], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def encoded_frames(length, height, width, *, number=0, flow=(0.0, 0.0), bound=20.0):
    """Encoded streams: frame t of video `number` is grey 10 * number + t, with constant flow."""
    frames = {"rgb": [], "flow": [], "objects": []}
    for time in range(length):
        grey = np.full((height, width, 3), 10 * number + time, np.uint8)
        frames["rgb"].append(
            cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
        )
        codes = quantise(np.broadcast_to(np.float32(flow), (height, width, 2)), bound)
        stacked = np.concatenate([codes[..., 0], codes[..., 1]])
        frames["flow"].append(cv2.imencode(".png", stacked)[1].tobytes())
        ids = np.full((height, width), time % 8, np.uint8)
        frames["objects"].append(cv2.imencode(".png", ids)[1].tobytes())
    return frames


@pytest.fixture(scope="session")
def make_split_in():
    """A function that writes StoredVideos as a prepared split of a folder and returns (split, Index).

    Segments are short, so that clips lie in several.
    """

    def make(parent, videos, classes=("a", "b"), videos_per_shard=2, segment_frames=3):
        folder = parent / "split"
        folder.mkdir(exist_ok=True)
        parts = [
            videos[start : start + videos_per_shard]
            for start in range(0, len(videos), videos_per_shard)
        ]
        entries = []
        for number, part in enumerate(parts):
            path = folder / f"shard-{number:05d}-of-{len(parts):05d}.tfrecord"
            entries.append(write_shard(path, part, segment_frames))
        index = Index(
            split="split",
            classes=tuple(classes),
            streams=("rgb", "flow", "objects"),
            shards=tuple(entries),
            segment_frames=segment_frames,
            videos=tuple(video.id for video in videos),
            flow_method="dis",
            flow_bound=20.0,
            object_classes=("none",),
            settings={},
            versions={},
            **label_summary(
                [
                    (video.id, [(label[0], *label[2:]) for label in video.labels])
                    for video in videos
                ],
                len(classes),
            ),
        )
        index.write(folder)
        return folder, index

    return make


@pytest.fixture
def make_split(tmp_path, make_split_in):
    """As `make_split_in`, in the test's folder."""
    return functools.partial(make_split_in, tmp_path)


@pytest.fixture(scope="session")
def stored_videos():
    """A function of a count: videos 0, 1, ... of grey frames, 25 a second, label = number % 2."""

    def make(count, length=8, height=16, width=24, **kwargs):
        return [
            StoredVideo(
                f"v{number}",
                number,
                25.0,
                [(number % 2, "ab"[number % 2], -1.0, -1.0)],
                20.0,
                encoded_frames(length, height, width, number=number, **kwargs),
            )
            for number in range(count)
        ]

    return make


# Test files can't import this one; they get its functions by name.
@pytest.fixture(scope="session", name="texture")
def _texture():
    return texture


@pytest.fixture(scope="session", name="write_mp4")
def _write_mp4():
    return write_mp4


@pytest.fixture(scope="session", name="encoded_frames")
def _encoded_frames():
    return encoded_frames
