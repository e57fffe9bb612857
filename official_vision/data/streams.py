"""All streams of a video, frame by frame: what preparation stores and prediction feeds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from official_vision.data import flow as optical_flow
from official_vision.data.objects import ObjectSource
from official_vision.data.video import Frame, decode


@dataclasses.dataclass(frozen=True)
class FrameStreams:
    """One frame of every stream.

    Attributes:
      rgb: uint8 [height, width, 3].
      flow: float32 [height, width, 2], pixels to the next frame, x right, y down; None when not asked
        for. The last frame repeats the flow before it; a single frame has none: zeros.
      objects: uint8 ids [height, width]; None when not asked for.
      time_sec: seconds from the video's start.
    """

    rgb: np.ndarray
    flow: np.ndarray | None
    objects: np.ndarray | None
    time_sec: float


def video_streams(
    path: str | os.PathLike,
    *,
    short_side: int | None,
    fps: float | None,
    flow: str,
    objects: ObjectSource | None,
    start_sec: float | None = None,
    end_sec: float | None = None,
) -> Iterator[FrameStreams]:
    """Yields a video's streams, holding two frames at a time.

    Args:
      path, short_side, fps, start_sec, end_sec: as in video.decode.
      flow: dis, tvl1 or none.
      objects: gives a frame's ids; None for none. Its `check_count`, where it has one, is told the
        number of the file's frames at their end.

    Raises:
      VideoError: see video.decode.
    """
    solver = _flow_solver(flow)
    held: Frame | None = None
    held_flow = None
    on_end = getattr(objects, "check_count", None)
    for frame in decode(path, short_side, fps, start_sec, end_sec, on_end):
        if held is not None:
            held_flow = solver(grey(held.rgb), grey(frame.rgb)) if solver else None
            yield _streams(held, held_flow, objects)
        held = frame
    if held is not None:
        if solver and held_flow is None:
            held_flow = np.zeros((*held.rgb.shape[:2], 2), np.float32)
        yield _streams(held, held_flow, objects)


def _streams(frame: Frame, flow: np.ndarray | None, objects: ObjectSource | None) -> FrameStreams:
    return FrameStreams(frame.rgb, flow, objects(frame) if objects else None, frame.time_sec)


def _flow_solver(method: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray] | None:
    if method == "none":
        return None
    return optical_flow.dis_flow() if method == "dis" else optical_flow.tvl1_flow


def grey(rgb: np.ndarray) -> np.ndarray:
    """The grey frame that flow is found in: uint8 [height, width, 3] -> uint8 [height, width]."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
