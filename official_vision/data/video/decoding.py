"""Decodes video files frame by frame (PyAV), at flat memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator, Iterator

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from official_vision.data.video.clock import FrameTiming
from official_vision.data.video.completeness import StreamEnd, refuse_cut_short
from official_vision.data.video.display import Display
from official_vision.data.video.report import DecodingReport
from official_vision.data.video.source import (
    VideoError,
    info_of,
    opened,
    picture_stream,
    reason,
)
from official_vision.names import existing_path

# A last picture that is shown for more ticks of re-timing is repeated until it ends.
_MOST_TICKS = 1.5


@dataclasses.dataclass(frozen=True)
class Frame:
    """A decoded frame.

    Attributes:
      rgb: uint8 [height, width, 3].
      time_sec: seconds from the video's start (data/video/clock.py).
      number: of the frame in the file, from 0; a frame repeated by re-timing keeps its number.
      duration_sec: how long it is shown; 0 where the file does not say.
    """

    rgb: np.ndarray
    time_sec: float
    number: int
    duration_sec: float = 0.0


def decode(
    path: str | os.PathLike,
    short_side: int | None = None,
    fps: float | None = None,
    start_sec: float | None = None,
    end_sec: float | None = None,
    *,
    broken_share: float = 0.0,
    report: DecodingReport | None = None,
) -> Iterator[Frame]:
    """Yields a video's frames in order of time, all of one size.

    Args:
      path: any file that FFmpeg reads; display matrices and the shape of pixels are applied, and frames
        of another size than the first are scaled to it.
      short_side: pixels of the shorter side after resizing (area average downwards); None keeps the size.
      fps: frames per second to re-time to, by taking the latest frame at each tick; None keeps them all.
      start_sec, end_sec: the part to yield; None for the file's start and end.
      broken_share: of the packets, those that may be undecodable; they are passed over.
      report: is filled with what became of the file's frames.

    Yields:
      Frames, whose times rise; with `fps` these are the ticks.

    Raises:
      VideoError: missing, empty, no video, cut short, or broken on the way. Frames before the break
        have been yielded by then.
    """
    report = DecodingReport() if report is None else report
    frames = _decoded(existing_path("", path), short_side, broken_share, report)
    yield from in_span(frames, fps, start_sec, end_sec)


def in_span(
    frames: Iterator[Frame], fps: float | None, start_sec: float | None, end_sec: float | None
) -> Iterator[Frame]:
    """Yields frames, re-timed to `fps`, from `start_sec` on and before `end_sec`; arguments as of `decode`."""
    for frame in frames if fps is None else retimed(frames, fps):
        if end_sec is not None and frame.time_sec >= end_sec:
            return
        if start_sec is None or frame.time_sec >= start_sec:
            yield frame


def _decoded(
    path: str | os.PathLike, short_side: int | None, broken_share: float, report: DecodingReport
) -> Iterator[Frame]:
    with opened(path) as container:
        info, end = info_of(picture_stream(container)), StreamEnd()
        frames = frames_of(container, path, short_side, report, forgiving=broken_share > 0, end=end)
        timing = yield from frames
    if report.frames == 0:
        raise VideoError(f"{path}: no frame can be decoded.")
    if report.broken > broken_share * report.packets:
        raise VideoError(
            f"{path}: {report.broken} of {report.packets} packets are broken, more than a share of {broken_share:g}."
        )
    covered = max(report.end_sec, timing.last_stamp_sec or 0.0)
    refuse_cut_short(path, info, end, report.frames, covered)
    report.ended = True


def frames_of(
    container: InputContainer,
    name: str | os.PathLike,
    short_side: int | None,
    report: DecodingReport,
    *,
    forgiving: bool,
    end: StreamEnd | None = None,
    threads: str = "AUTO",
) -> Generator[Frame, None, FrameTiming]:
    """Yields the frames of an open video in order of time, all of one size.

    Args:
      container: with a stream of moving pictures.
      name: of the video, for messages.
      short_side: as of `decode`.
      report: is filled with what became of the frames.
      forgiving: packets that can't be decoded are passed over.
      end: is filled with where the stream ends.
      threads: of FFmpeg's decoder: AUTO, or SLICE, which delays no frame.

    Returns:
      The clock of the frames.

    Raises:
      VideoError: broken on the way.
    """
    stream = picture_stream(container)
    stream.thread_type = threads
    timing = FrameTiming(container, stream)
    display = Display(stream.sample_aspect_ratio, short_side)
    reader = _PacketReader(name, container, stream, timing, report, end or StreamEnd())
    for picture in reader.pictures(forgiving):
        time, duration = timing.of(picture)
        try:
            rgb = display.rgb(picture)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(f"{name}: {reason(error)}.") from error
        _note(report, timing, picture, display)
        yield Frame(rgb, time, report.frames - 1, duration)
    return timing


def _note(
    report: DecodingReport, timing: FrameTiming, picture: VideoFrame, display: Display
) -> None:
    report.frames += 1
    report.damaged += picture.is_corrupt
    report.end_sec = timing.clock.end_sec
    report.untimed, report.jumps = timing.clock.untimed, timing.clock.jumps
    report.sizes = display.sizes


class _PacketReader:
    """Reads packets and decodes pictures."""

    def __init__(
        self,
        path: str | os.PathLike,
        container: InputContainer,
        stream: VideoStream,
        timing: FrameTiming,
        report: DecodingReport,
        end: StreamEnd,
    ):
        self._path = path
        self._container = container
        self._stream = stream
        self._timing = timing
        self._report = report
        self._end = end

    def pictures(self, forgiving: bool) -> Iterator[VideoFrame]:
        """Yields decoded pictures; `forgiving` passes over packets that can't be decoded."""
        packets = self._container.demux(self._stream)
        while (packet := self._next(packets)) is not None:
            try:
                pictures = packet.decode()
            except av.error.FFmpegError as error:
                self._lost(error, forgiving)
                continue
            yield from pictures

    def _next(self, packets: Iterator[av.Packet]) -> av.Packet | None:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            raise self._broken(error) from error
        if packet is not None and packet.size:  # the empty one ends all
            # A file's last packet is incomplete where the file was cut.
            self._end.cut = packet.is_corrupt
            self._end.position = (packet.pos or 0) + packet.size if packet.pos else 0
            self._report.packets += 1
        if packet is not None:
            self._timing.sent(packet)
        return packet

    def _lost(self, error: Exception, forgiving: bool) -> None:
        if not forgiving:
            raise self._broken(error) from error
        self._report.broken += 1
        self._timing.lost()

    def _broken(self, error: Exception) -> VideoError:
        return VideoError(
            f"{self._path}: broken after {self._report.frames} frames ({reason(error)}); "
            "broken_packet_share lets some packets be passed over."
        )


def retimed(frames: Iterator[Frame], fps: float) -> Iterator[Frame]:
    """Yields the latest frame at each tick of 1 / fps; frames repeat where the video is slower."""
    tick, previous = 0, None
    half_microsecond = 5e-7  # time stamps are rounded to microseconds

    def at_tick() -> Frame:
        return Frame(previous.rgb, tick / fps, previous.number, 1 / fps)

    for frame in frames:
        while previous is not None and tick / fps < frame.time_sec - half_microsecond:
            yield at_tick()
            tick += 1
        previous = frame
    if previous is None:
        return
    end = previous.time_sec + half_microsecond
    if tick / fps <= end:
        yield at_tick()
        tick += 1
    if previous.duration_sec * fps > _MOST_TICKS:
        while tick / fps < previous.time_sec + previous.duration_sec - half_microsecond:
            yield at_tick()
            tick += 1
