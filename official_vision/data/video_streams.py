"""All streams of a video, frame by frame, for preparation and prediction."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from official_vision.data import optical_flow
from official_vision.data.objects import MotionIds, ObjectSource
from official_vision.data.video import DecodingReport, Frame, FrameSequence, decode

FlowSolver = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class FrameStreams:
    """One frame of every stream.

    Attributes:
      rgb: uint8 [height, width, 3].
      flow: float32 [height, width, 2], pixels to the next frame, x right, y down; None unless requested
        The last frame repeats the flow before it; a single frame has none: zeros.
      objects: uint8 ids [height, width]; None unless requested.
      time_sec: seconds from the video's start.
      duration_sec: how long the frame is shown; 0 where the file does not say.
    """

    rgb: np.ndarray
    flow: np.ndarray | None
    objects: np.ndarray | None
    time_sec: float
    duration_sec: float = 0.0


def video_streams(
    source: str | os.PathLike | FrameSequence,
    *,
    short_side: int | None,
    fps: float | None,
    flow: str,
    objects: ObjectSource | None,
    start_sec: float | None = None,
    end_sec: float | None = None,
    broken_share: float = 0.0,
    report: DecodingReport | None = None,
) -> Iterator[FrameStreams]:
    """Yields a video's streams, with two frames in memory at a time, or as many as `objects` takes at once.

    Args:
      source: a video's path, or frames that are there already.
      short_side, fps, start_sec, end_sec, broken_share, report: as in video.decode.
      flow: dis, dis_fast, tvl1 or none.
      objects: returns a frame's ids, or, as MotionIds, those of its flow; None for none. Where it has `batch`, its
        `many` gets so many frames at once. Its `check_count`, where it has one, is called with the number of the
        file's frames at their end.

    Raises:
      VideoError: see video.decode and video.FrameSequence.
    """
    report = DecodingReport() if report is None else report
    if isinstance(source, FrameSequence):
        frames = source.decoded(short_side, fps, start_sec, end_sec, report)
    else:
        frames = decode(
            source, short_side, fps, start_sec, end_sec, broken_share=broken_share, report=report
        )
    only_for_ids = flow == "none" and isinstance(objects, MotionIds)
    pairs = _with_flow(frames, flow_solver(objects.flow_method if only_for_ids else flow))
    while part := list(itertools.islice(pairs, getattr(objects, "batch", 1))):
        for item in _with_objects(part, objects):
            yield dataclasses.replace(item, flow=None) if only_for_ids else item
    if report.ended and hasattr(objects, "check_count"):
        objects.check_count(report.frames)


def _with_flow(
    frames: Iterator[Frame], solver: FlowSolver | None
) -> Iterator[tuple[Frame, np.ndarray | None]]:
    previous: Frame | None = None
    last_flow = last_grey = None
    for frame in frames:
        this_grey = grey(frame.rgb) if solver else None
        if previous is not None:
            last_flow = solver(last_grey, this_grey) if solver else None
            yield previous, last_flow
        previous, last_grey = frame, this_grey
    if previous is not None:
        if solver and last_flow is None:
            last_flow = np.zeros((*previous.rgb.shape[:2], 2), np.float32)
        yield previous, last_flow


def _with_objects(
    pairs: Sequence[tuple[Frame, np.ndarray | None]], objects: ObjectSource | None
) -> Iterator[FrameStreams]:
    frames = [frame for frame, _ in pairs]
    if objects is None:
        ids = [None] * len(frames)
    elif isinstance(objects, MotionIds):
        ids = [objects.of_flow(flow) for _, flow in pairs]
    else:
        ids = objects.many(frames) if len(frames) > 1 else [objects(frames[0])]
    for (frame, flow), frame_ids in zip(pairs, ids, strict=True):
        yield FrameStreams(frame.rgb, flow, frame_ids, frame.time_sec, frame.duration_sec)


def flow_solver(method: str) -> FlowSolver | None:
    """Returns what computes the flow by a method of PrepareSpec.flow; None for none."""
    if method == "none":
        return None
    if method == "tvl1":
        return optical_flow.tvl1_flow
    return optical_flow.dis_flow(fast=method == "dis_fast")


def grey(rgb: np.ndarray) -> np.ndarray:
    """Converts a uint8 [height, width, 3] frame to the grey uint8 [height, width] that flow is computed from."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
