"""The survey of one file for an audit: its frames' times and sizes, with or without decoding all of them."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from official_vision.data.annotations.manifest import VideoRow
from official_vision.data.video import DecodingReport, VideoError, VideoInfo, decode
from official_vision.data.video.clock import PacketStamps
from official_vision.data.video.display import Display, check_shape
from official_vision.data.video.source import info_of, moving_streams, opened, picture_stream
from official_vision.names import existing_path
from official_vision.specs import PrepareSpec

_SIDE = 16  # pixels; the cheapest that a frame to be counted can have
_KEY_FRAME_SEC = 1.0  # between two that are looked at
# A frame that comes so many steps of a constant rate too early or late: jitter stays below.
_VARIABLE_STEPS = 2.0


@dataclasses.dataclass(frozen=True)
class Survey:
    """The result of a survey.

    Attributes:
      info: the header.
      streams: of moving pictures, of which one is used.
      frames: that are shown: counted by decoding, else by packets.
      named: frames that the header names and no edit list hides; None where it names none.
      end_sec: when the last frame ends.
      rate_error_sec: greatest distance of a frame's time from frame number / average rate, where that is
        more than jitter; else 0.
      report: sizes, jumps and damage.
    """

    info: VideoInfo
    streams: int
    frames: int
    named: int | None
    end_sec: float
    rate_error_sec: float
    report: DecodingReport


def survey(
    row: VideoRow, spec: PrepareSpec, decode_all: bool, on_frame: Callable[[], None]
) -> Survey:
    """Surveys a file.

    Args:
      row: the video, its path relative to `spec.videos`.
      spec: names the folder, and the share of packets that may be broken.
      decode_all: decode every frame; else packets are read, and one key frame a second decoded for its size.
      on_frame: called now and then, as a sign of life.

    Raises:
      VideoError: see video.decode.
    """
    path = existing_path(spec.videos, row.path)
    with opened(path) as container:
        stream = picture_stream(container)
        info, streams = info_of(stream), len(moving_streams(container))
        report = DecodingReport()
        indexed = len(stream.index_entries)
        hidden, times = _read_packets(stream, report, on_frame, look_at_keys=not decode_all)
        _check_shape(path, report)
    # FFmpeg leaves groups of pictures that are hidden as a whole out of its index.
    named = info.frames and min(info.frames, indexed or info.frames) - hidden
    if decode_all:
        report, times = DecodingReport(), []
        share = spec.broken_packet_share
        for frame in decode(path, _SIDE, broken_share=share, report=report):
            times.append(frame.time_sec)
            on_frame()
    return Survey(info, streams, report.frames, named, report.end_sec, rate_error(times), report)


def _check_shape(path: Path, report: DecodingReport) -> None:
    try:
        for size in report.sizes[:1]:
            check_shape(*size)
    except ValueError as error:
        raise VideoError(f"{path}: {error}.") from error


def rate_error(times_sec: list[float]) -> float:
    """Returns the greatest distance of times from a constant rate; 0 where it is jitter."""
    if len(times_sec) < 3:
        return 0.0
    steady = np.linspace(times_sec[0], times_sec[-1], len(times_sec))
    error = float(np.abs(np.array(times_sec) - steady).max())
    step = float(np.median(np.diff(times_sec)))
    return error if error > _VARIABLE_STEPS * step else 0.0


def _read_packets(
    stream: VideoStream, report: DecodingReport, on_frame: Callable[[], None], look_at_keys: bool
) -> tuple[int, list[float]]:
    """Fills the report from packets; returns how many are hidden, and the times of the others."""
    hidden, next_look, base = 0, -np.inf, float(stream.time_base)
    display = Display(stream.sample_aspect_ratio, None)
    stamps = PacketStamps(stream)
    for packet in _packets(stream):
        on_frame()
        report.packets += 1
        hidden += packet.is_discard
        stamps.add(packet)
        order = base * (packet.dts or packet.pts or 0)
        looked_at = next_look - _KEY_FRAME_SEC <= order < next_look
        if look_at_keys and packet.is_keyframe and not looked_at:
            next_look = order + _KEY_FRAME_SEC
            _note_sizes(stream, packet, display)
    if look_at_keys:
        _note_sizes(stream, None, display)
    report.sizes = display.sizes
    clock, times = stamps.times()
    report.frames, report.end_sec, report.jumps = len(times), clock.end_sec, clock.jumps
    return hidden, times


def _packets(stream: VideoStream) -> Iterator[Packet]:
    with contextlib.suppress(av.error.FFmpegError):  # decoding names what is broken
        for packet in stream.container.demux(stream):
            if packet.size:
                yield packet


def _note_sizes(stream: VideoStream, packet: Packet | None, display: Display) -> None:
    """Notes the sizes of the pictures that the decoder returns for a packet, or at the end without one."""
    with contextlib.suppress(av.error.FFmpegError):
        for picture in stream.decode(packet):
            display.note_size(picture)
