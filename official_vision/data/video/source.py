"""Opens a video file, chooses its stream of moving pictures and reads its header."""

from __future__ import annotations

import dataclasses
import os
import re

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from official_vision.errors import UserError
from official_vision.names import existing_path

_USUAL_FPS = 25.0
# Streams of single pictures, which FFmpeg calls video: cover art, thumbnails, title pictures.
_STILLS = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

# Formats whose headers name where they end; the others name how long they last.
_END_NAMED = ("matroska,webm", "asf")


class VideoError(UserError):
    """A video that can't be decoded whole: the message names the file and the reason."""


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """The information in a file's header.

    Attributes:
      fps: frames per second, on average.
      duration_sec: None where the header lacks it.
      width, height: pixels as they are stored: before any rotation, and for any shape of pixels.
      frames: count, with those that an edit list hides; None where the header lacks it.
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
    with opened(path) as container:
        return info_of(picture_stream(container))


def opened(path: str | os.PathLike) -> InputContainer:
    """Opens a file that has a stream of moving pictures.

    Raises:
      VideoError: missing, empty, or no video.
    """
    path = existing_path("", path)
    if not os.path.isfile(path):  # unlike Path.is_file, it takes any name
        raise VideoError(f"{path}: there is no such video file.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty.")
    try:
        # FFmpeg takes text before a colon for a protocol, but not in an absolute path.
        container = av.open(os.path.abspath(path))
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"{path}: not a readable video ({reason(error)}).") from error
    if not moving_streams(container):
        only = ", only a cover picture" if container.streams.video else ""
        container.close()
        raise VideoError(f"{path}: the file has no video stream{only}.")
    return container


def moving_streams(container: InputContainer) -> list[VideoStream]:
    """Returns the streams that are not cover art or thumbnails, in the file's order."""
    return [stream for stream in container.streams.video if not stream.disposition & _STILLS]


def picture_stream(container: InputContainer) -> VideoStream:
    """Returns the stream that players show: FFmpeg's choice, unless that is cover art, else the first."""
    moving, best = moving_streams(container), container.streams.best("video")
    return next((stream for stream in moving if best and stream.index == best.index), moving[0])


def info_of(stream: VideoStream) -> VideoInfo:
    """Returns the header's information on a stream."""
    rate = stream.average_rate or stream.guessed_rate
    fps = float(rate) if rate else _USUAL_FPS
    return VideoInfo(fps, _duration(stream), stream.width, stream.height, stream.frames or None)


def frame_step(stream: VideoStream) -> float:
    """Returns the seconds between two frames by the stream's usual rate, apart from repeated pictures."""
    rate = stream.guessed_rate or stream.average_rate
    return 1 / float(rate) if rate else 1 / _USUAL_FPS


def reason(error: Exception) -> str:
    """Returns the text of a decoder's error."""
    return getattr(error, "strerror", None) or str(error)


def _duration(stream: VideoStream) -> float | None:
    container = stream.container
    if stream.duration is not None:
        length = float(stream.duration * stream.time_base)
    else:
        length = _seconds(stream.metadata.get("DURATION", ""))
    # Of the whole file, which may be a longer sound track's.
    if length is None and container.duration is not None and len(container.streams) == 1:
        length = container.duration / av.time_base
    if length is None or container.format.name not in _END_NAMED:
        return length
    start = float((stream.start_time or 0) * stream.time_base)
    return length - start if 0 < start < length else length


def _seconds(clock: str) -> float | None:
    """Reads 00:01:02.500000000, the form of a track's duration in Matroska's statistics."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", clock.strip("\0 "))
    if not match:
        return None
    return 3600.0 * int(match[1]) + 60.0 * int(match[2]) + float(match[3])
