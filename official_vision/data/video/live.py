"""Videos that are read while they are made: cameras, network addresses, named pipes and standard input."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from collections.abc import Iterator, Mapping

import av

from official_vision.data.video.decoding import Frame, frames_of
from official_vision.data.video.report import DecodingReport
from official_vision.data.video.source import VideoError, moving_streams, reason

# A sender by these waits until it is read, and its end is the video's.
_WAITING = ("http", "https", "tcp")
_ENDLESS = ("udp", "rtp", "rtsp", "rtsps", "rtmp", "srt")
_ADDRESS = re.compile(rf"({'|'.join(_WAITING + _ENDLESS)})://.+", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class LiveAddress:
    """Where a live video comes from.

    Attributes:
      name: as its user wrote it.
      url: as FFmpeg opens it.
      waits: whether the sender waits for its reader, so that no frame need be lost.
      endless: whether an end is a loss of the connection, after which it is tried again.
      format: of FFmpeg; None where it finds that out.
      options: of FFmpeg.
    """

    name: str
    url: str
    waits: bool
    endless: bool
    format: str | None = None
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)


def live_address(name: str | os.PathLike) -> LiveAddress | None:
    """Reads a name of a video: -, a camera's number, an address or a named pipe; None for any other.

    A file of the name comes first.
    """
    name = os.fspath(name)
    if os.path.lexists(name):
        try:
            is_pipe = stat.S_ISFIFO(os.stat(name).st_mode)
        except OSError:
            is_pipe = False
        return LiveAddress(name, os.path.abspath(name), True, False) if is_pipe else None
    if name == "-":
        return LiveAddress(name, "pipe:0", True, False)
    if name.isdecimal():
        return LiveAddress(name, f"/dev/video{name}", False, True, "v4l2")
    match = _ADDRESS.fullmatch(name)
    if not match:
        return None
    scheme = match[1].lower()
    options = {"rtsp_transport": "tcp"} if scheme.startswith("rtsp") else {}
    waits = scheme in _WAITING
    return LiveAddress(name, name, waits, not waits, None, options)


def decode_live(
    address: LiveAddress, short_side: int | None, timeout_sec: float, report: DecodingReport
) -> Iterator[Frame]:
    """Yields the frames of one connection as they come, like `decode`; packets that can't be decoded are passed over.

    Args:
      address: to open.
      short_side: as of `decode`.
      timeout_sec: longest wait for the connection, and then for each packet.
      report: is filled with what became of the frames.

    Raises:
      VideoError: the address can't be opened, has no video, or broke off.
    """
    try:
        container = av.open(
            address.url,
            format=address.format,
            options=dict(address.options),
            timeout=(timeout_sec, timeout_sec),
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise VideoError(f"{address.name}: can't be opened ({reason(error)}).") from error
    with container:
        if not moving_streams(container):
            raise VideoError(f"{address.name}: there is no video stream.")
        try:
            # Threads that each take a frame would hold as many frames back.
            yield from frames_of(
                container, address.name, short_side, report, forgiving=True, threads="SLICE"
            )
        except VideoError as error:
            why = reason(error.__cause__ or error)
            raise VideoError(
                f"{address.name}: broke off after {report.frames} frames ({why})."
            ) from error
