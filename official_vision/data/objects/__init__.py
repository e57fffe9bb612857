"""Sources of a frame's object ids: use `object_source`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from official_vision.data.objects.class_lists import class_names
from official_vision.data.objects.detectors import OPENCV_CLASS_NAMES, opencv_detectors
from official_vision.data.objects.id_images import IdImages
from official_vision.data.objects.motion import MOTION_CLASS_NAMES, MotionIds
from official_vision.data.objects.segmentation import NETWORK_KINDS, SegmentationNetwork, network
from official_vision.data.video import Frame
from official_vision.names import existing_path
from official_vision.specs import PrepareSpec

# Boxes are repeated for this many frames: detection costs more than decoding and flow together.
DETECTION_INTERVAL = 12
# Frames that wait for a batch: at most so many are in memory.
_MOST_WAITING = 64
ObjectSource = Callable[[Frame], np.ndarray] | MotionIds


def object_source(spec: PrepareSpec, video: object) -> ObjectSource | None:
    """Returns the source of the ids of one video's frames; None where there are none.

    Args:
      spec: names the kind of source and its settings.
      video: the path that names the video's folder of id images, where those are the source.

    Returns:
      Frame -> uint8 ids [height, width], to be called for the frames in order; of motion, MotionIds.

    Raises:
      UserError: a network or a folder that can't be read.
    """
    kind, _, path = spec.objects.partition(":")
    if kind == "none":
        return None
    if kind == "png":
        return IdImages(existing_path(path, Path(str(video)).with_suffix("")))
    if kind == "motion":
        return MotionIds(spec.flow)
    if kind == "opencv":
        return _repeating(opencv_detectors(), spec.object_interval or DETECTION_INTERVAL)
    return NetworkSource(network(spec), spec.object_interval or 1)


def uses_network(spec: PrepareSpec) -> bool:
    """Returns whether object ids come from a network's file."""
    return spec.objects.partition(":")[0] in NETWORK_KINDS


def object_classes(spec: PrepareSpec) -> tuple[str, ...]:
    """Returns the names of the ids, as far as they are known."""
    if spec.objects == "opencv":
        return OPENCV_CLASS_NAMES
    if spec.objects == "motion":
        return MOTION_CLASS_NAMES
    return class_names(spec.object_classes)


class NetworkSource:
    """Runs a network on every `interval`-th frame of a video, several at once, and repeats its ids in between.

    Attributes:
      batch: frames to be given to `many` together; the ids are the same in any other number.
    """

    def __init__(self, segmentation: SegmentationNetwork, interval: int):
        """Args:
        segmentation: the network.
        interval: frames from one run to the next.
        """
        self._network = segmentation
        self._interval = interval
        self._count = 0
        self._ids: np.ndarray | None = None
        self.batch = 1
        if segmentation.batch > 1:
            self.batch = max(segmentation.batch, min(segmentation.batch * interval, _MOST_WAITING))

    def __call__(self, frame: Frame) -> np.ndarray:
        """Returns the uint8 ids [height, width] of the video's next frame."""
        return self.many([frame])[0]

    def many(self, frames: Sequence[Frame]) -> list[np.ndarray]:
        """Returns the uint8 ids [height, width] of each of the video's next frames."""
        due = [
            number % self._interval == 0 for number in range(self._count, self._count + len(frames))
        ]
        new_ids = iter(
            self._network.many([f.rgb for f, now in zip(frames, due, strict=True) if now])
        )
        self._count += len(frames)
        ids = []
        for now in due:
            self._ids = next(new_ids) if now else self._ids
            ids.append(self._ids)
        return ids


def _repeating(detector: Callable[[np.ndarray], np.ndarray], interval: int) -> ObjectSource:
    """Detects in every `interval`-th frame and repeats its ids in between."""
    count, ids = 0, None

    def source(frame: Frame) -> np.ndarray:
        nonlocal count, ids
        if count % interval == 0:
            ids = detector(frame.rgb)
        count += 1
        return ids

    return source
