"""Object ids of a frame from what a network gives: scores of classes, ids, a mask of one class, or boxes."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from official_vision.data.objects.boxes import BOX_RESULTS, boxes_of, painted
from official_vision.data.objects.network_input import Placement
from official_vision.data.objects.stored_ids import check_class_count, stored_ids
from official_vision.errors import UserError, nearest
from official_vision.specs import PrepareSpec

_MASK_SLACK = 1e-3  # by which rounding may leave 0..1


def ids_of(
    outputs: Mapping[str, np.ndarray], place: Placement, spec: PrepareSpec, channels_first: bool
) -> np.ndarray:
    """Returns the ids of one frame.

    Args:
      outputs: of the network by name, each with a batch axis of 1 (which lists of boxes may lack).
      place: of the frame in the network's input.
      spec: what the outputs mean.
      channels_first: the order of the input's axes, which is taken for the output's where shapes don't tell.

    Returns:
      uint8 ids [height, width] of the stored frame.

    Raises:
      UserError: outputs that are not what the settings name.
    """
    if spec.object_result in BOX_RESULTS:
        return painted(boxes_of(outputs, place, spec), place, spec)
    name, values = _output(outputs, spec)
    result = _result(values, name, spec)
    if result == "ids":
        ids = _shown(_whole_numbers(_plane(values, name), name), place)
        return _resized(stored_ids(ids, spec), place)
    if result == "mask":
        mask = _enlarged(_shown(_mask(_plane(values, name), name), place), place, spec)
        object_id = stored_ids(np.ones((), np.int64), spec)
        background = np.uint8(spec.object_background_id)
        return _resized(np.where(mask >= spec.object_threshold, object_id, background), place)
    scores = _channels_last(values, place, channels_first)
    check_class_count(scores.shape[-1], spec)
    largest = _enlarged(_shown(scores, place), place, spec).argmax(axis=-1)
    return _resized(stored_ids(largest, spec), place)


def class_count(
    outputs: Mapping[str, np.ndarray], place: Placement, spec: PrepareSpec, channels_first: bool
) -> int | None:
    """Returns the number of classes that outputs have scores of; None where they name ids alone."""
    if spec.object_result in BOX_RESULTS:
        return boxes_of(outputs, place, spec).classes
    name, values = _output(outputs, spec)
    if _result(values, name, spec) != "scores":
        return None
    return _channels_last(values, place, channels_first).shape[-1]


def _output(outputs: Mapping[str, np.ndarray], spec: PrepareSpec) -> tuple[str, np.ndarray]:
    name = spec.object_output or _only(outputs)
    if name not in outputs:
        raise UserError(
            f"PrepareSpec.object_output must be an output of the network. Received: {name!r}. "
            f"{nearest(name, outputs)}"
        )
    return name, np.asarray(outputs[name])


def _only(outputs: Mapping[str, np.ndarray]) -> str:
    if len(outputs) > 1:
        raise UserError(
            "PrepareSpec.object_output must name one of a network's several outputs. "
            f"Received: '', the outputs are {', '.join(sorted(outputs))}."
        )
    return next(iter(outputs))


def _result(values: np.ndarray, name: str, spec: PrepareSpec) -> str:
    """Returns scores, ids or mask: by the shape where the settings leave it open."""
    single = values.ndim == 4 and 1 in (values.shape[1], values.shape[3])
    by_shape = "scores" if values.ndim == 4 and not single else "ids"
    chosen = by_shape if spec.object_result == "auto" else spec.object_result
    if values.ndim not in (3, 4) or (chosen == "scores") != (by_shape == "scores"):
        raise UserError(
            "A segmentation network gives scores [batch, classes, height, width] or [batch, height, width, classes], "
            "or ids or a mask [batch, height, width]. "
            f"Received: output {name!r} of shape {values.shape} for PrepareSpec.object_result = "
            f"{spec.object_result!r}. Name another PrepareSpec.object_output, or what it gives."
        )
    return chosen


def _plane(values: np.ndarray, name: str) -> np.ndarray:
    """Returns [height, width] of [1, height, width], [1, 1, height, width] or [1, height, width, 1]."""
    plane = values[0]
    if plane.ndim == 3:
        plane = plane[0] if plane.shape[0] == 1 else plane[..., 0]
    if values.shape[0] != 1:
        raise UserError(
            f"A network gives one result per frame. Received: output {name!r} of shape {values.shape} for one frame. "
            "Export it with the batch as its first axis."
        )
    return plane


def _whole_numbers(predicted: np.ndarray, name: str) -> np.ndarray:
    if predicted.dtype.kind == "f" and np.any(predicted != np.rint(predicted)):
        raise UserError(
            "Ids of a segmentation network are whole numbers; scores have a channel per class. "
            f"Received: output {name!r} of shape {predicted.shape} with fractions. "
            "For a mask of one class set PrepareSpec.object_result = 'mask'."
        )
    return predicted


def _mask(scores: np.ndarray, name: str) -> np.ndarray:
    scores = scores.astype(np.float32)
    low, high = float(scores.min()), float(scores.max())
    if not (low >= -_MASK_SLACK and high <= 1 + _MASK_SLACK):
        raise UserError(
            f"A mask has scores in 0..1. Received: output {name!r} with {low:g} to {high:g}. "
            "Export the network with its sigmoid, or name another PrepareSpec.object_output."
        )
    return scores


def _channels_last(values: np.ndarray, place: Placement, channels_first: bool) -> np.ndarray:
    """Returns scores [height, width, classes], of axes in the order that keeps the input's aspect."""
    first = _aspect_fits(values.shape[2:4], place)
    last = _aspect_fits(values.shape[1:3], place)
    is_first = first if first != last else channels_first
    scores = values[0].transpose(1, 2, 0) if is_first else values[0]
    return np.ascontiguousarray(scores, np.float32)


def _aspect_fits(size: tuple[int, int], place: Placement) -> bool:
    (height, width), (rows, columns) = place.size, size
    return abs(rows * width - columns * height) <= max(height, width)


def _shown(values: np.ndarray, place: Placement) -> np.ndarray:
    """Returns the part of a map [rows, columns, ...] that shows the frame, to whole pixels of the map."""
    ends = []
    for axis in (0, 1):
        factor = values.shape[axis] / place.size[axis]
        start = min(round(place.corner[axis] * factor), values.shape[axis] - 1)
        stop = round((place.corner[axis] + place.part[axis]) * factor)
        ends.append(slice(start, max(stop, start + 1)))
    return values[tuple(ends)]


def _enlarged(scores: np.ndarray, place: Placement, spec: PrepareSpec) -> np.ndarray:
    """Returns scores of the frame's size where they are smaller and the settings say so; else as they are."""
    chosen = spec.object_enlarged or ("scores" if spec.objects.startswith("onnx:") else "ids")
    if chosen == "scores" and scores.shape[0] * scores.shape[1] < place.frame[0] * place.frame[1]:
        return cv2.resize(scores, place.frame[::-1], interpolation=cv2.INTER_LINEAR)
    return scores


def _resized(ids: np.ndarray, place: Placement) -> np.ndarray:
    return cv2.resize(ids, place.frame[::-1], interpolation=cv2.INTER_NEAREST)
