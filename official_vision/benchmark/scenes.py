"""Generated videos that are as costly to decode as footage: textures that pan, with grain."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from official_vision.data.annotations.manifest import Label, Manifest, VideoRow

SPLIT = "benchmark"
_GRAIN = 3.0  # standard deviation in grey levels


def write_scenes(folder: Path, count: int, frames: int, height: int, width: int) -> Manifest:
    """Writes `count` videos of even height and width in pixels, 25 frames per second, with sound-free H.264.

    Returns:
      Their manifest: one split, one class each of two.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        name = f"scene_{number:03d}.mp4"
        _write(folder / name, _scene(number, frames, height, width))
        rows.append(VideoRow(name, name, SPLIT, (Label(number % 2),)))
    return Manifest(("even", "odd"), tuple(rows))


def _scene(seed: int, frames: int, height: int, width: int) -> list[np.ndarray]:
    """Generates uint8 [height, width, 3] frames: coarse and fine texture that moves some pixels per frame."""
    random = np.random.default_rng(seed)
    room = 2 * frames
    picture = np.zeros((height + room, width + room, 3))
    for blur, weight in ((1.0, 0.3), (4.0, 1.0), (16.0, 3.0)):
        layer = cv2.GaussianBlur(random.normal(size=picture.shape), (0, 0), blur)
        picture += weight * layer / layer.std()
    picture = 127 + 40 * picture / picture.std()
    speed = random.uniform(-1, 1, 2)
    shown = []
    for time in range(frames):
        y, x = (room // 2 + np.rint(speed * time)).astype(int)
        grain = random.normal(scale=_GRAIN, size=(height, width, 3))
        cut = picture[y : y + height, x : x + width] + grain
        shown.append(np.clip(np.rint(cut), 0, 255).astype(np.uint8))
    return shown


def _write(path: Path, frames: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"crf": "18"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24")))
        container.mux(stream.encode())
