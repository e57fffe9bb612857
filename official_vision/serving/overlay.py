"""A whole video with what the network saw and said drawn over it, as an mp4.

+----------------------------+----------------+
|  frame                     | class    0.83  |
|                            | [########    ] |
|  +------+        +-------+ | class    0.12  |
|  | flow |        |objects| | [#           ] |
+----------------------------+----------------+
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from official_vision import files
from official_vision.data.preview import flow_colours, object_colours
from official_vision.data.streams import FrameStreams
from official_vision.fonts import text_mask

_HEIGHT = 360
_PANEL_WIDTH = 260
_INSET_SHARE = 4  # an inset is a quarter as high as the frame
_CLASSES = 5
_SCORE_WIDTH, _NAME_HEIGHT = 40, 20
_MARGIN = 8
_ROW = (_HEIGHT - 2 * _MARGIN) // (_CLASSES + 1)
# PyAV's own builds hold libx264; FFmpeg has its mpeg4 encoder everywhere.
_CODECS = ("libx264", "mpeg4")
_TICKS = 30_000  # a second: whole for the usual rates, and few enough for MPEG-4's 16 bits
# Colours are steady over a video: full saturation at a motion of this share of the frame's short side.
_FULL_FLOW_SHARE = 0.05


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What is written on the frames.

    Attributes:
      labels: class names.
      frame_scores: [frames, classes] in 0..1.
      times_sec: [frames + 1], each frame's start and the end of the last.
    """

    labels: Sequence[str]
    frame_scores: np.ndarray
    times_sec: np.ndarray


def write_overlay(
    path: str | os.PathLike, frames: Iterable[FrameStreams], annotation: Annotation
) -> None:
    """Writes the annotated video (H.264 where PyAV has it, else MPEG-4), holding one frame at a time.

    Args:
      path: mp4 to write; it appears whole.
      frames: of the video, in order, with the streams that are to be shown.
      annotation: a row of scores a frame.
    """
    path = Path(path)
    with (
        files.written_aside(path) as partial,
        # In a relative path FFmpeg would take what stands before a colon for a protocol.
        av.open(os.path.abspath(partial), "w", format="mp4") as container,
    ):
        stream = None
        for picture, time_sec in _pictures(frames, annotation):
            if stream is None:
                stream = _stream(container, picture, annotation)
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts, frame.time_base = round(time_sec * _TICKS), Fraction(1, _TICKS)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def _stream(
    container: av.container.OutputContainer, picture: np.ndarray, annotation: Annotation
) -> av.video.stream.VideoStream:
    steps = np.diff(annotation.times_sec)
    rate = Fraction(1 / max(float(np.median(steps)), 1e-3)).limit_denominator(1001)
    codec = next(name for name in _CODECS if name in av.codecs_available)
    stream = container.add_stream(codec, rate=rate)
    stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
    stream.codec_context.time_base = Fraction(1, _TICKS)
    return stream


def _pictures(
    frames: Iterable[FrameStreams], annotation: Annotation
) -> Iterator[tuple[np.ndarray, float]]:
    size = None
    shown = _shown_classes(annotation.frame_scores)
    for frame, scores in zip(frames, annotation.frame_scores, strict=True):
        # An encoder takes one size; a video may change its own.
        size = size or _size(frame.rgb)
        yield draw_frame(frame, scores, annotation.labels, shown, size), frame.time_sec


def _shown_classes(frame_scores: np.ndarray) -> np.ndarray:
    """The classes with the greatest peaks: steady rows are read more easily than jumping ones."""
    return np.argsort(-frame_scores.max(axis=0), kind="stable")[:_CLASSES]


def _size(rgb: np.ndarray) -> tuple[int, int]:
    """Width and height of the frame's part of the picture; both even, as yuv420p asks."""
    height, width = rgb.shape[:2]
    return 2 * max(round(width * _HEIGHT / height / 2), 1), _HEIGHT


def draw_frame(
    frame: FrameStreams,
    scores: np.ndarray,
    labels: Sequence[str],
    shown: Sequence[int],
    size: tuple[int, int],
) -> np.ndarray:
    """Draws one picture.

    Args:
      frame: with the streams to show.
      scores: [classes] in 0..1.
      labels: class names.
      shown: classes to draw a bar for, from above.
      size: width and height of the frame's part.

    Returns:
      uint8 rgb [height, width + panel, 3].
    """
    rgb = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_LINEAR)
    if frame.flow is not None:
        full_scale = _FULL_FLOW_SHARE * min(frame.rgb.shape[:2])
        _inset(rgb, flow_colours(frame.flow, full_scale), on_the_right=False)
    if frame.objects is not None:
        _inset(rgb, object_colours(frame.objects), on_the_right=True)
    return np.concatenate([rgb, _panel(frame.time_sec, scores, labels, shown)], axis=1)


def _inset(rgb: np.ndarray, picture: np.ndarray, on_the_right: bool) -> None:
    """Draws a small picture with a white edge into a lower corner, in place."""
    height, width = rgb.shape[0] // _INSET_SHARE, rgb.shape[1] // _INSET_SHARE
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    small = cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    top = rgb.shape[0] - small.shape[0]
    left = rgb.shape[1] - small.shape[1] if on_the_right else 0
    rgb[top:, left : left + small.shape[1]] = small


def _panel(
    time_sec: float, scores: np.ndarray, labels: Sequence[str], shown: Sequence[int]
) -> np.ndarray:
    image = Image.new("RGB", (_PANEL_WIDTH, _HEIGHT), (24, 24, 24))
    draw, font = ImageDraw.Draw(image), _font()
    draw.text((_MARGIN, _MARGIN), f"{time_sec:.1f} s", font=font, fill=(170, 170, 170))
    right = _PANEL_WIDTH - _MARGIN
    for row, number in enumerate(shown):
        top, score = _MARGIN + _ROW * (row + 1), float(np.clip(scores[number], 0, 1))
        draw.bitmap((_MARGIN, top), _name_image(labels[number]), fill="white")
        draw.text((right, top), f"{score:.2f}", font=font, fill="white", anchor="ra")
        bar_top, length = top + 24, round((right - _MARGIN) * score)
        draw.rectangle((_MARGIN, bar_top, right, bar_top + 12), fill=(60, 60, 60))
        if length:
            draw.rectangle((_MARGIN, bar_top, _MARGIN + length, bar_top + 12), fill=(70, 160, 250))
    return np.asarray(image)


@functools.cache
def _name_image(label: str) -> Image.Image:
    """A class's name in any script, as a mask."""
    width = _PANEL_WIDTH - 2 * _MARGIN - _SCORE_WIDTH
    return Image.fromarray(text_mask(label, _NAME_HEIGHT, width))


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    """Matplotlib's own font file: it is there wherever this runs."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), 15)
