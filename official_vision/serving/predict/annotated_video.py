"""A whole video in its size with the network's input and scores drawn over it, as an mp4.

+----------------------------+----------------+
|  frame                     | class    0.83  |
|  flow            objects   | [########    ] |
|  +------+        +-------+ | class    0.12  |
|  |      |        |       | | [#           ] |
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
from official_vision.data.prepare.preview import flow_colours, object_colours
from official_vision.data.video import Frame
from official_vision.data.video_streams import FrameStreams
from official_vision.presentation.fonts import text_mask
from official_vision.serving.videos.video_list import ANNOTATED_MARK

# Pixels beside a frame whose short side has _SIDE pixels or fewer; beside larger ones all is larger.
_SIDE = 360
_PANEL_WIDTH = 260
_LEAST_SIDE = 240  # smaller frames are enlarged: insets would be too small
_MOST_PIXELS = 4096  # of a picture's side: what H.264 encoders take everywhere
_INSET_SHARE = 4  # an inset is a quarter as high as the frame
_CLASSES = 5
_SCORE_WIDTH, _NAME_HEIGHT = 40, 20
_MARGIN = 8
_ROW = (_SIDE - 2 * _MARGIN) // (_CLASSES + 1)
_FONT_SIZE, _CAPTION_SIZE = 15, 12
# PyAV's builds have libx264; FFmpeg has its mpeg4 encoder everywhere.
_CODECS = ("libx264", "mpeg4")
_TICKS = 30_000  # a second: whole for the usual rates, and few enough for MPEG-4's 16 bits
# Colours are steady over a video: full saturation at a motion of this share of the frame's short side.
_FULL_FLOW_SHARE = 0.05


@dataclasses.dataclass(frozen=True)
class Annotation:
    """The texts and scores on the frames.

    Attributes:
      labels: class names.
      frame_scores: [frames, classes] in 0..1.
      times_sec: [frames + 1], each frame's start and the end of the last.
    """

    labels: Sequence[str]
    frame_scores: np.ndarray
    times_sec: np.ndarray


@dataclasses.dataclass(frozen=True)
class ShownFrame:
    """A frame of the source and the network's input at its time.

    Attributes:
      rgb: uint8 [height, width, 3], of the source.
      time_sec: when it begins.
      number: of the fed frame, from 0.
      streams: of the fed frame.
    """

    rgb: np.ndarray
    time_sec: float
    number: int
    streams: FrameStreams


def shown_frames(source: Iterable[Frame], streams: Iterable[FrameStreams]) -> Iterator[ShownFrame]:
    """Pairs every frame of a video with the network's latest input by then; two of these are in memory.

    A last picture that lasts is shown again with each that the network was fed meanwhile.

    Args:
      source: the video's frames, as large and as many as they are.
      streams: of the same video as the network is fed: smaller, perhaps at another rate.
    """
    half_microsecond = 5e-7  # time stamps are rounded to microseconds
    fed = iter(streams)
    number, current, following = 0, next(fed), next(fed, None)
    for frame in source:
        while following is not None and following.time_sec <= frame.time_sec + half_microsecond:
            number, current, following = number + 1, following, next(fed, None)
        yield ShownFrame(frame.rgb, frame.time_sec, number, current)
    while following is not None:
        number, current, following = number + 1, following, next(fed, None)
        yield ShownFrame(frame.rgb, current.time_sec, number, current)


def write_overlay(
    path: str | os.PathLike, frames: Iterable[ShownFrame], annotation: Annotation
) -> None:
    """Writes the annotated video (H.264 where PyAV has it, else MPEG-4), with one frame in memory at a time.

    Args:
      path: mp4 to write; it appears whole.
      frames: of the video, in order, with the streams that are to be shown.
      annotation: one row of scores per fed frame.
    """
    path = Path(path)
    with (
        files.written_aside(path) as partial,
        # In a relative path FFmpeg would take text before a colon for a protocol.
        av.open(os.path.abspath(partial), "w", format="mp4") as container,
    ):
        container.metadata["comment"] = ANNOTATED_MARK
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
    frames: Iterable[ShownFrame], annotation: Annotation
) -> Iterator[tuple[np.ndarray, float]]:
    size = None
    shown = _shown_classes(annotation.frame_scores)
    for frame in frames:
        # An encoder takes one size; a video may change its size.
        size = size or _size(frame.rgb)
        scores = annotation.frame_scores[frame.number]
        yield draw_frame(frame, scores, annotation.labels, shown, size), frame.time_sec


def _shown_classes(frame_scores: np.ndarray) -> np.ndarray:
    """Returns the classes with the greatest peaks, for the whole video: rows that jump are hard to read."""
    return np.argsort(-frame_scores.max(axis=0), kind="stable")[:_CLASSES]


def _size(rgb: np.ndarray) -> tuple[int, int]:
    """Returns the width and height of the frame in the picture: the frame's, both even as yuv420p requires.

    Frames too small for insets are enlarged, as far as no side becomes too long.
    """
    height, width = rgb.shape[:2]
    scale = min(max(_LEAST_SIDE / min(height, width), 1), _MOST_PIXELS / max(height, width))
    return tuple(2 * max(round(side * scale / 2), 1) for side in (width, height))


def draw_frame(
    frame: ShownFrame,
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
      uint8 rgb [height, width + panel, 3]; what is less high than the panel has black below it.
    """
    scale = max(min(size) / _SIDE, 1)
    height = max(size[1], 2 * round(_SIDE * scale / 2))
    canvas = np.zeros((height, size[0], 3), np.uint8)
    rgb, streams = canvas[: size[1]], frame.streams
    rgb[:] = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_LINEAR)
    if streams.flow is not None:
        full_scale = _FULL_FLOW_SHARE * min(streams.rgb.shape[:2])
        _inset(rgb, flow_colours(streams.flow, full_scale), "flow", scale, on_the_right=False)
    if streams.objects is not None:
        _inset(rgb, object_colours(streams.objects), "objects", scale, on_the_right=True)
    panel = _panel(frame.time_sec, scores, labels, shown, scale, height)
    return np.concatenate([canvas, panel], axis=1)


def _inset(
    rgb: np.ndarray, picture: np.ndarray, caption: str, scale: float, *, on_the_right: bool
) -> None:
    """Draws a small picture with a white edge and its name above into a lower corner, in place."""
    height, width = (max(side // _INSET_SHARE, 1) for side in rgb.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)
    small = cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    named = np.concatenate([_caption(caption, small.shape[1], scale), small])
    named = named[-rgb.shape[0] :, : rgb.shape[1]]
    left = rgb.shape[1] - named.shape[1] if on_the_right else 0
    rgb[-named.shape[0] :, left : left + named.shape[1]] = named


def _caption(text: str, width: int, scale: float) -> np.ndarray:
    """Draws white letters on dark, as wide as the picture below them."""
    size = round(_CAPTION_SIZE * scale)
    image = Image.new("RGB", (width, round(1.4 * size)), (24, 24, 24))
    place = (round(0.3 * size), image.height // 2)
    ImageDraw.Draw(image).text(place, text, font=_font(size), fill="white", anchor="lm")
    return np.asarray(image)


def _panel(
    time_sec: float,
    scores: np.ndarray,
    labels: Sequence[str],
    shown: Sequence[int],
    scale: float,
    height: int,
) -> np.ndarray:
    def pixels(length: float) -> int:
        return round(length * scale)

    image = Image.new("RGB", (2 * pixels(_PANEL_WIDTH / 2), height), (24, 24, 24))
    draw, font, left = ImageDraw.Draw(image), _font(pixels(_FONT_SIZE)), pixels(_MARGIN)
    draw.text((left, left), f"{time_sec:.1f} s", font=font, fill=(170, 170, 170))
    right = image.width - left
    for row, number in enumerate(shown):
        top, score = pixels(_MARGIN + _ROW * (row + 1)), float(np.clip(scores[number], 0, 1))
        draw.bitmap((left, top), _name_image(labels[number], scale), fill="white")
        draw.text((right, top), f"{score:.2f}", font=font, fill="white", anchor="ra")
        bar_top, length = top + pixels(24), round((right - left) * score)
        bar_end = bar_top + pixels(12)
        draw.rectangle((left, bar_top, right, bar_end), fill=(60, 60, 60))
        if length:
            draw.rectangle((left, bar_top, left + length, bar_end), fill=(70, 160, 250))
    return np.asarray(image)


@functools.cache
def _name_image(label: str, scale: float) -> Image.Image:
    """Returns a class's name in any script, as a mask."""
    width = _PANEL_WIDTH - 2 * _MARGIN - _SCORE_WIDTH
    return Image.fromarray(text_mask(label, round(_NAME_HEIGHT * scale), round(width * scale)))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Returns the font file that Matplotlib ships, which is there wherever this runs."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / "DejaVuSans.ttf"), size)
