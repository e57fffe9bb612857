"""Frame times: seconds from the video's start that always rise, whatever a file's time stamps are.

Containers differ: some give frames no times (raw streams), some times in the order of decoding
(AVI), and recordings that were joined or interrupted jump or begin anew. The rules are those of the
ffmpeg command:

- The video starts where the first stream of its file does.
- A frame without a time comes one step of the frame rate after the one before it.
- A time that falls by more than a tenth of a second, or (in formats that are broadcast, such as MPEG
  transport streams) leaps by more than ten seconds, begins a new count: it continues where the frame
  before it ended. Other formats keep their pauses.
"""

from __future__ import annotations

import av
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from official_vision.data.video.source import frame_step
from official_vision.data.video.stamps import FrameStamps

_FALL_SEC = 0.1
_BROADCAST_GAP_SEC = 10.0
_GAP_SEC = 30 * 3600.0
_LEAST_STEP_SEC = 1e-4


class FrameClock:
    """Frame times, from the time stamps of frames in the order in which they are shown."""

    def __init__(self, step_sec: float, start_sec: float | None, longest_gap_sec: float = _GAP_SEC):
        """Args:
        step_sec: between two frames by the rate.
        start_sec: the time stamp at which the video starts; None for its first frame's.
        longest_gap_sec: a longer one is a jump.
        """
        self._step = step_sec
        self._start = start_sec
        self._longest = longest_gap_sec
        self._offset = 0.0  # of time stamps
        self._last: float | None = None
        self._end = 0.0
        self.jumps: list[tuple[float, float]] = []  # (time, seconds that were passed over or back)
        self.untimed = 0  # frames without a time stamp

    def time(self, stamp_sec: float | None, duration_sec: float = 0.0) -> float:
        """Returns the time of the next frame in seconds; it is greater than the one before.

        Args:
          stamp_sec: the frame's time stamp; None where the file has none.
          duration_sec: for which the frame is shown; 0 where that isn't known.
        """
        time = self._first(stamp_sec) if self._last is None else self._next(stamp_sec)
        self.untimed += stamp_sec is None
        self._last, self._end = time, round(time + (duration_sec or self._step), 9)
        return time

    @property
    def end_sec(self) -> float:
        """Returns when the last frame ends."""
        return self._end

    def _first(self, stamp: float | None) -> float:
        if stamp is None:
            self._offset = self._start or 0.0
            return 0.0
        start = stamp if self._start is None else self._start
        late = 0 <= stamp - start <= self._longest
        self._offset = start if late else stamp
        return stamp - self._offset

    def _next(self, stamp: float | None) -> float:
        if stamp is None:
            return self._last + self._step
        time = stamp - self._offset
        gap = time - self._last
        if self.is_jump(gap):
            self.jumps.append((self._end, time - self._end))
            self._offset = stamp - self._end
            return self._end
        if gap < _LEAST_STEP_SEC:
            # Little by little, so that the times which follow are soon right again.
            return self._last + max(self._step / 10, _LEAST_STEP_SEC)
        return time

    def is_jump(self, gap_sec: float) -> bool:
        """Returns whether a time stamp so far after the previous one begins a new count."""
        return not -_FALL_SEC <= gap_sec <= self._longest


def frame_clock(container: InputContainer, stream: VideoStream) -> FrameClock:
    """Returns the clock of a stream."""
    broadcast = container.format.flags & Flags.ts_discont.value
    start = None if container.start_time is None else container.start_time / av.time_base
    return FrameClock(frame_step(stream), start, _BROADCAST_GAP_SEC if broadcast else _GAP_SEC)


def knows_no_presentation(container: InputContainer) -> bool:
    """Returns whether a container stores packets at steady steps, in the order of decoding."""
    return container.format.name == "avi"


class PacketStamps:
    """Reads the times of a stream's frames from its packets alone, without decoding."""

    def __init__(self, stream: VideoStream):
        self._clock = frame_clock(stream.container, stream)
        self._by_decoding = knows_no_presentation(stream.container)
        self._base = float(stream.time_base)
        self._last: float | None = None
        self._counts: list[list[tuple[float | None, float]]] = [[]]

    def add(self, packet: Packet) -> None:
        """Notes the next packet that has content."""
        if packet.is_discard:
            return
        stamp = packet.dts if self._by_decoding or packet.pts is None else packet.pts
        order = packet.dts if packet.dts is not None else stamp
        if order is not None:
            if self._last is not None and self._clock.is_jump((order - self._last) * self._base):
                self._counts.append([])
            self._last = order
        seconds = None if stamp is None else stamp * self._base
        self._counts[-1].append((seconds, (packet.duration or 0) * self._base))

    def times(self) -> tuple[FrameClock, list[float]]:
        """Returns the clock, and every frame's time in seconds."""
        times = []
        for count in self._counts:
            if all(stamp is not None for stamp, _ in count):
                count = sorted(count)
            times += [self._clock.time(stamp, duration) for stamp, duration in count]
        return self._clock, times


class FrameTiming:
    """Reads the times of a stream's frames while it is decoded."""

    def __init__(self, container: InputContainer, stream: VideoStream):
        self._stream = stream
        self._stamps = FrameStamps(knows_no_presentation(container))
        self.clock = frame_clock(container, stream)
        self.last_stamp_sec: float | None = (
            None  # of the frames so far, with the last one's duration
        )

    def sent(self, packet: Packet) -> None:
        """Notes a packet before it is decoded."""
        self._stamps.sent(packet)

    def lost(self) -> None:
        """Notes that an error came in place of a frame."""
        self._stamps.lost()

    def of(self, picture: VideoFrame) -> tuple[float, float]:
        """Returns the next frame's time and duration in seconds; 0 for an unknown duration."""
        base = self._stream.time_base
        stamp = self._stamps.of(picture, bool(self._stream.codec_context.has_b_frames))
        stamp_sec = None if stamp is None else float(stamp * base)
        duration = float(picture.duration * base) if picture.duration > 0 else 0.0
        if stamp_sec is not None:
            self.last_stamp_sec = stamp_sec + duration
        return self.clock.time(stamp_sec, duration), duration
