"""Sources of a frame's object ids: use `object_source`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from official_vision import files
from official_vision.data.annotations.text import numbered_lines
from official_vision.data.objects.detectors import OPENCV_CLASS_NAMES, opencv_detectors
from official_vision.data.objects.id_images import IdImages
from official_vision.data.objects.segmentation import network
from official_vision.data.video import Frame
from official_vision.names import existing_path
from official_vision.specs import PrepareSpec

# Boxes are repeated for this many frames: detection costs more than decoding and flow together.
DETECTION_INTERVAL = 6
ObjectSource = Callable[[Frame], np.ndarray]


def object_source(spec: PrepareSpec, video: object) -> ObjectSource | None:
    """Returns the source of the ids of one video's frames; None where there are none.

    Args:
      spec: names the kind of source and its settings.
      video: the path that names the video's folder of id images, where those are the source.

    Returns:
      Frame -> uint8 ids [height, width], to be called for the frames in order.

    Raises:
      UserError: a network or a folder that can't be read.
    """
    kind, _, path = spec.objects.partition(":")
    if kind == "none":
        return None
    if kind == "png":
        return IdImages(existing_path(path, Path(str(video)).with_suffix("")))
    if kind == "opencv":
        return _repeating(opencv_detectors(), spec.object_interval or DETECTION_INTERVAL)
    return _repeating(network(spec), spec.object_interval or 1)


def object_classes(spec: PrepareSpec) -> tuple[str, ...]:
    """Returns the names of the ids, as far as they are known."""
    if spec.objects == "opencv":
        return OPENCV_CLASS_NAMES
    if not spec.object_classes:
        return ()
    return tuple(line for _, line in numbered_lines(spec.object_classes))


def object_fingerprint(spec: PrepareSpec) -> str | None:
    """Returns the sha256 of a segmentation network's file or folder; None for other sources."""
    kind, _, path = spec.objects.partition(":")
    if kind not in ("saved_model", "tflite"):
        return None
    network(spec)  # a path that is none is refused in words
    return _fingerprint(path)


@functools.cache
def _fingerprint(path: str) -> str:
    if Path(path).is_file():
        return files.sha256(path)
    return files.sha256_of_folder(path)


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
