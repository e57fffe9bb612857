"""Settings of live video (no TensorFlow)."""

from __future__ import annotations

import dataclasses

from official_vision.errors import UserError


@dataclasses.dataclass(frozen=True)
class LiveOptions:
    """Settings of a live video.

    Attributes:
      real_time: leaves out what comes too fast, in place of letting it wait; None does so where the sender can't
        wait: cameras, and addresses of udp, rtp, rtsp, rtmp and srt.
      held_windows: frames that wait at most, in windows.
      timeout_sec: longest wait for a connection or a packet before it counts as lost.
      patience_sec: longest time without a frame before the stream counts as ended.
      first_pause_sec: before a lost connection is tried again; each further try waits twice as long, at most
        `longest_pause_sec`.
      longest_pause_sec: see above.
    """

    real_time: bool | None = None
    held_windows: float = 2.0
    timeout_sec: float = 10.0
    patience_sec: float = 60.0
    first_pause_sec: float = 1.0
    longest_pause_sec: float = 30.0

    def __post_init__(self) -> None:
        """Raises UserError for a setting that is none of the above."""
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if not 0 < value < float("inf"):
                raise UserError(f"{field.name} must be above 0. Received: {value}. Raise it.")


@dataclasses.dataclass
class LiveCounts:
    """What became of a live video so far.

    Attributes:
      frames: that arrived.
      dropped: frames that were left out, since too many waited.
      windows: that were scored.
      skipped: windows that were left out, since newer frames waited.
      lost: how often the connection was lost.
      reason: of the last loss; empty where there was none.
    """

    frames: int = 0
    dropped: int = 0
    windows: int = 0
    skipped: int = 0
    lost: int = 0
    reason: str = ""

    def to_text(self) -> str:
        """Returns one line."""
        parts = [f"{self.frames} frames", f"{self.windows} windows scored"]
        parts += [f"{self.skipped} windows skipped"] if self.skipped else []
        parts += [f"{self.dropped} frames dropped"] if self.dropped else []
        parts += [f"connection lost {self.lost} times ({self.reason})"] if self.lost else []
        return ", ".join(parts)
