"""Decoding video files frame by frame (PyAV), at flat memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

import av
import numpy as np

from official_vision.data.container_length import missing_bytes
from official_vision.errors import UserError
from official_vision.names import existing_path

# A file whose frames end this much before its header says is taken for truncated.
_LEAST_SHARE_OF_DURATION = 0.9


class VideoError(UserError):
    """A video that can't be decoded whole: names the file and the reason."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Attributes:
      rgb: uint8 [height, width, 3].
      time_sec: seconds from the video's start.
      number: of the frame in the file, from 0; a frame repeated by re-timing keeps its number.
    """

    rgb: np.ndarray
    time_sec: float
    number: int


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """What a file's header says.

    Attributes:
      fps: frames a second.
      duration_sec: None where the header lacks it.
      width, height: pixels, before any rotation flag.
      frames: count; None where the header lacks it.
    """

    fps: float
    duration_sec: float | None
    width: int
    height: int
    frames: int | None


def probe(path: str | os.PathLike) -> VideoInfo:
    """Reads a file's header.

    Raises:
      VideoError: missing, empty, or no video.
    """
    with _opened(path) as container:
        return _info(container.streams.video[0])


def decode(
    path: str | os.PathLike,
    short_side: int | None = None,
    fps: float | None = None,
    start_sec: float | None = None,
    end_sec: float | None = None,
    on_end: Callable[[int], None] | None = None,
) -> Iterator[Frame]:
    """Yields a video's frames in order of time.

    Args:
      path: any file that FFmpeg reads; rotation flags are applied.
      short_side: pixels of the shorter side after resizing (area average downwards); None keeps the size.
      fps: frames a second to re-time to, by taking the latest frame at each tick; None keeps them all.
      start_sec, end_sec: the part to yield; None for the file's start and end.
      on_end: called with the number of the file's frames when the last of them has been decoded.

    Yields:
      Frames; with `fps`, their times are the ticks.

    Raises:
      VideoError: missing, empty, no video, cut short, or broken on the way. Frames before the break
        have been yielded by then.
    """
    frames = _decoded(path, short_side, on_end)
    if fps is not None:
        frames = _retimed(frames, fps)
    for frame in frames:
        if end_sec is not None and frame.time_sec >= end_sec:
            return
        if start_sec is None or frame.time_sec >= start_sec:
            yield frame


def _opened(path: str | os.PathLike) -> av.container.InputContainer:
    path = existing_path("", path)
    if not os.path.isfile(path):  # unlike Path.is_file, it takes any name
        raise VideoError(f"{path}: there is no such video file.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty.")
    try:
        # FFmpeg takes what stands before a colon for a protocol, but not in an absolute path.
        container = av.open(os.path.abspath(path))
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"{path}: not a readable video ({_reason(error)}).") from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{path}: the file holds no video stream.")
    return container


def _info(stream: av.video.stream.VideoStream) -> VideoInfo:
    rate = stream.average_rate or stream.guessed_rate
    fps = float(rate) if rate else 25.0
    return VideoInfo(fps, _duration(stream), stream.width, stream.height, stream.frames or None)


def _duration(stream: av.video.stream.VideoStream) -> float | None:
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    # Matroska keeps one duration for the whole file, which may be a longer sound track's.
    container = stream.container
    if container.duration is None or len(container.streams) > 1:
        return None
    return container.duration / av.time_base


def _decoded(
    path: str | os.PathLike, short_side: int | None, on_end: Callable[[int], None] | None
) -> Iterator[Frame]:
    with _opened(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        info, count, first, last, cut = _info(stream), 0, 0.0, 0.0, False
        try:
            for packet in container.demux(stream):
                # A file's last packet is incomplete where the file was cut; the empty one ends all.
                cut = packet.is_corrupt if packet.size else cut
                for picture in packet.decode():
                    # Some files start after 0 or lack time stamps; then frames count from the rate.
                    time = count / info.fps + first if picture.time is None else picture.time
                    first = time if count == 0 else first
                    yield Frame(_rgb(picture, short_side), time - first, count)
                    count, last = count + 1, time - first
        except av.error.FFmpegError as error:
            raise VideoError(f"{path}: broken after {count} frames ({_reason(error)}).") from error
    if count == 0:
        raise VideoError(f"{path}: no frame can be decoded.")
    _refuse_truncated(path, info, count, last, cut)
    if on_end:
        on_end(count)


def _refuse_truncated(
    path: str | os.PathLike, info: VideoInfo, count: int, last: float, cut: bool
) -> None:
    if cut:
        raise VideoError(f"{path}: cut short in the middle of a frame, after {count} whole ones.")
    missing = missing_bytes(path)
    if missing:
        raise VideoError(f"{path}: cut short: {missing} bytes are missing, after {count} frames.")
    if info.duration_sec is None:
        return
    decoded = last + 1.0 / info.fps
    if decoded < _LEAST_SHARE_OF_DURATION * info.duration_sec - 1.0 / info.fps:
        raise VideoError(
            f"{path}: cut short: {count} frames ({decoded:.2f} s) of the {info.duration_sec:.2f} s its header names."
        )


def _rgb(picture: av.VideoFrame, short_side: int | None) -> np.ndarray:
    width, height = picture.width, picture.height
    if short_side is not None and short_side != min(width, height):
        ratio = short_side / min(width, height)
        width, height = max(1, round(width * ratio)), max(1, round(height * ratio))
        picture = picture.reformat(width, height, "rgb24", interpolation="AREA")
    rgb = picture.to_ndarray(format="rgb24")
    # FFmpeg gives the display matrix's angle counterclockwise, as np.rot90 turns.
    quarter_turns = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, quarter_turns)) if quarter_turns else rgb


def _retimed(frames: Iterator[Frame], fps: float) -> Iterator[Frame]:
    """Yields the latest frame at each tick of 1 / fps; frames repeat where the video is slower."""
    tick, held = 0, None
    half_microsecond = 5e-7  # time stamps are rounded to microseconds
    for frame in frames:
        while held is not None and tick / fps < frame.time_sec - half_microsecond:
            yield Frame(held.rgb, tick / fps, held.number)
            tick += 1
        held = frame
    if held is not None and tick / fps <= held.time_sec + half_microsecond:
        yield Frame(held.rgb, tick / fps, held.number)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
