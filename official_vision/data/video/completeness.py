"""Checks that a video was decoded to its end: decoders don't report a missing one."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from official_vision.data.video.container_length import missing_bytes, was_streamed
from official_vision.data.video.source import VideoError, VideoInfo

# A video whose frames end this much before the end in its header counts as truncated.
_LEAST_SHARE_OF_DURATION = 0.9


@dataclasses.dataclass
class StreamEnd:
    """The end of a stream's packets.

    Attributes:
      cut: whether the last packet is incomplete.
      position: byte of the file after the last packet; 0 where that isn't known.
    """

    cut: bool = False
    position: int = 0


def refuse_cut_short(
    path: str | os.PathLike, info: VideoInfo, end: StreamEnd, frames: int, covered_sec: float
) -> None:
    """Raises VideoError for a file that ends too early.

    Args:
      path: of the file.
      info: from its header.
      end: where its packets ended.
      frames: that were decoded.
      covered_sec: until when they are shown, the last one's duration included.
    """
    if end.cut:
        raise VideoError(f"{path}: cut short in the middle of a frame, after {frames} whole ones.")
    missing = missing_bytes(path)
    if missing:
        raise VideoError(f"{path}: cut short: {missing} bytes are missing, after {frames} frames.")
    if info.duration_sec is None or was_streamed(path):
        return
    step = 1.0 / info.fps
    if covered_sec >= _LEAST_SHARE_OF_DURATION * info.duration_sec - step:
        return
    # A complete file may show its last picture for long without a duration. Zeros in place
    # of an end, as interrupted downloads leave them, are bytes as well.
    if missing == 0 and end.position:
        size = Path(path).stat().st_size
        lacking = 1 - covered_sec / info.duration_sec
        if (size - end.position) / size <= lacking / 2:
            return
    raise VideoError(
        f"{path}: cut short: {frames} frames ({covered_sec:.2f} s) of the {info.duration_sec:.2f} s its header names."
    )
