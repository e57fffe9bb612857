"""Reports on a file's packets and frames during decoding."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class DecodingReport:
    """Counts that `decode` fills as it yields frames.

    Attributes:
      frames: decoded so far.
      packets: of the stream so far.
      broken: packets that could not be decoded and were passed over.
      damaged: frames in which the decoder filled in what it could not read.
      untimed: frames without a time stamp, which were counted from the rate.
      jumps: (time, seconds passed over, or back where negative) of each place where the clock was
        continued.
      sizes: (width, height) of the frames as shown, before resizing, each once, in order.
      end_sec: when the last frame ends.
      ended: whether the file was decoded to its end.
    """

    frames: int = 0
    packets: int = 0
    broken: int = 0
    damaged: int = 0
    untimed: int = 0
    jumps: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    sizes: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    end_sec: float = 0.0
    ended: bool = False

    def lines(self) -> list[str]:
        """Returns a line for each thing that a reader of the frames should know; empty for sound files."""
        return list(self.messages().values())

    def messages(self) -> dict[str, str]:
        """Returns these lines by their kinds: broken_packets, damaged_frames, time_jumps, changing_size."""
        messages = {}
        if self.broken:
            messages["broken_packets"] = (
                f"{self.broken} of {self.packets} packets cannot be decoded and were passed over"
            )
        if self.damaged:
            messages["damaged_frames"] = f"{self.damaged} of {self.frames} frames are damaged"
        if self.jumps:
            time, by = self.jumps[0]
            often = f", {len(self.jumps)} times in all" if len(self.jumps) > 1 else ""
            messages["time_jumps"] = (
                f"the clock jumps by {by:+.1f} s at {time:.2f} s{often}; times were continued there"
            )
        if len(self.sizes) > 1:
            sizes = ", then ".join(f"{width} x {height}" for width, height in self.sizes)
            messages["changing_size"] = f"frames are of {sizes}; all were scaled to the first"
        return messages
