"""Object ids from detection networks: boxes with scores and classes, painted in the order of rising scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from official_vision.data.objects.network_input import Placement
from official_vision.data.objects.stored_ids import check_class_count, stored_ids
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec

_DETR_OUTPUTS = ("logits", "pred_boxes")
_LIST_OUTPUTS = ("boxes", "scores", "labels")
BOX_RESULTS = ("boxes", "yolo", "detr", "detr_sigmoid")


class Boxes(NamedTuple):
    """The boxes that a network gives for a frame.

    Attributes:
      corners: float [count, 4], left, top, right and bottom in pixels of the network's input.
      scores: float [count], in 0..1.
      numbers: int [count], the network's classes.
      classes: how many classes it knows; None where it doesn't say.
    """

    corners: np.ndarray
    scores: np.ndarray
    numbers: np.ndarray
    classes: int | None


def boxes_of(outputs: Mapping[str, np.ndarray], place: Placement, spec: PrepareSpec) -> Boxes:
    """Reads the boxes of one frame.

    Args:
      outputs: of the network by name, each with a batch axis of 1, which `boxes` may lack.
      place: of the frame in the network's input.
      spec: what the outputs mean.

    Raises:
      UserError: outputs are missing or of other shapes.
    """
    if spec.object_result == "yolo":
        return _yolo(outputs, spec)
    if spec.object_result == "boxes":
        return _listed(outputs, place, spec)
    return _detr(outputs, place, spec)


def painted(boxes: Boxes, place: Placement, spec: PrepareSpec) -> np.ndarray:
    """Paints boxes over each other, the surest last.

    Args:
      boxes: of the frame.
      place: of the frame in the network's input.
      spec: the least score, the overlap from which a box of the same class repeats a surer one, and the ids.

    Returns:
      uint8 ids [height, width] of the stored frame.
    """
    if boxes.classes is not None:
        check_class_count(boxes.classes, spec)
    ids = np.full(place.frame, spec.object_background_id, np.uint8)
    known = np.isfinite(boxes.corners).all(axis=1) & (boxes.scores >= spec.object_threshold)
    corners, scores, numbers = (part[known] for part in boxes[:3])
    chosen = _surest(corners, scores, numbers, spec.object_overlap)
    # To pixels of the stored frame, [height, width] as x, y, x, y.
    start = np.tile(place.corner[::-1], 2)
    factor = np.tile(np.divide(place.frame, place.part)[::-1], 2)
    limits = np.tile(place.frame[::-1], 2)
    edges = np.clip(np.rint((corners - start) * factor), 0, limits).astype(int)
    for index in chosen[np.argsort(scores[chosen], kind="stable")]:
        left, top, right, bottom = edges[index]
        ids[top:bottom, left:right] = stored_ids(numbers[index], spec)
    return ids


def _surest(
    corners: np.ndarray, scores: np.ndarray, numbers: np.ndarray, overlap: float
) -> np.ndarray:
    """Returns the boxes that no surer one of their class overlaps by more than a share of their union."""
    if overlap >= 1 or not len(scores):
        return np.arange(len(scores))
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    remaining = cv2.dnn.NMSBoxesBatched(
        sizes.tolist(), scores.tolist(), numbers.tolist(), 0.0, overlap
    )
    return np.sort(np.asarray(remaining, int))


def _yolo(outputs: Mapping[str, np.ndarray], spec: PrepareSpec) -> Boxes:
    """Reads [1, 4 + classes, boxes]: centres, sizes and a score per class."""
    (values,) = _named(outputs, spec, ("",))
    if values.ndim != 3 or not 5 <= values.shape[1] <= values.shape[2]:
        raise UserError(
            "A network read as 'yolo' gives [batch, 4 + classes, boxes]. "
            f"Received: {values.shape}. Of YOLO 8 and later export without NMS; "
            "with NMS set PrepareSpec.object_result = 'boxes'."
        )
    columns = values[0].astype(np.float64)
    scores = columns[4:]
    return Boxes(_corners(columns[:4].T), scores.max(axis=0), scores.argmax(axis=0), len(scores))


def _detr(outputs: Mapping[str, np.ndarray], place: Placement, spec: PrepareSpec) -> Boxes:
    """Reads scores [1, queries, classes] before their softmax or sigmoid, and boxes [1, queries, 4] in shares."""
    logits, shares = _named(outputs, spec, _DETR_OUTPUTS)
    if logits.ndim != 3 or shares.shape != (*logits.shape[:2], 4):
        raise UserError(
            f"A network read as {spec.object_result!r} gives scores [batch, queries, classes] and boxes "
            f"[batch, queries, 4]. Received: {logits.shape} and {shares.shape}. "
            "Name them in that order: PrepareSpec.object_output = 'logits,pred_boxes'."
        )
    logits = logits[0].astype(np.float64)
    if spec.object_result == "detr":  # the last class is "no object"
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = (exponentials / exponentials.sum(axis=1, keepdims=True))[:, :-1]
    else:
        scores = 1 / (1 + np.exp(-np.clip(logits, -60, 60)))
    pixels = shares[0].astype(np.float64) * np.tile(place.size[::-1], 2)
    return Boxes(_corners(pixels), scores.max(axis=1), scores.argmax(axis=1), scores.shape[1])


def _listed(outputs: Mapping[str, np.ndarray], place: Placement, spec: PrepareSpec) -> Boxes:
    """Reads rows of left, top, right, bottom, score and class; or boxes, scores and classes by themselves."""
    names = _LIST_OUTPUTS if "," in spec.object_output or len(outputs) > 1 else ("",)
    values = [np.asarray(value, np.float64) for value in _named(outputs, spec, names)]
    ranks = (2, 1, 1) if len(values) == 3 else (2,)
    parts = [
        value[0] if value.ndim == rank + 1 and len(value) == 1 else value
        for value, rank in zip(values, ranks, strict=True)
    ]
    fits = [part.ndim == rank for part, rank in zip(parts, ranks, strict=True)]
    if fits == [True] and parts[0].shape[1] == 6:
        parts = [parts[0][:, :4], parts[0][:, 4], parts[0][:, 5]]
    if not all(fits) or len(parts) != 3 or parts[0].shape[1] != 4 or len({*map(len, parts)}) > 1:
        raise UserError(
            "A network read as 'boxes' gives rows [batch, boxes, 6], or boxes [batch, boxes, 4], scores and classes "
            f"[batch, boxes]. Received: {', '.join(str(value.shape) for value in values)}. "
            "Name the three in that order: PrepareSpec.object_output = 'boxes,scores,labels'."
        )
    corners, scores, numbers = parts
    if spec.object_box_format.startswith("yxyx"):
        corners = corners[:, [1, 0, 3, 2]]
    if spec.object_box_format.endswith("shares"):
        corners = corners * np.tile(place.size[::-1], 2)
    return Boxes(corners, scores, np.nan_to_num(numbers, nan=-1.0).astype(np.int64), None)


def _named(
    outputs: Mapping[str, np.ndarray], spec: PrepareSpec, usual: Sequence[str]
) -> list[np.ndarray]:
    """Returns the outputs that the settings name, or those of the usual names; "" is the only one."""
    names = (
        [name.strip() for name in spec.object_output.split(",")] if spec.object_output else usual
    )
    if names == ("",) and len(outputs) == 1:
        return [np.asarray(value) for value in outputs.values()]
    if len(names) != len(usual) or not set(names) <= set(outputs):
        wanted = ", ".join(usual) if usual != ("",) else "one output"
        raise UserError(
            f"PrepareSpec.object_output must name what a network read as {spec.object_result!r} gives ({wanted}). "
            f"Received: {spec.object_output!r}, the outputs are {', '.join(outputs)}."
        )
    return [np.asarray(outputs[name]) for name in names]


def _corners(centres: np.ndarray) -> np.ndarray:
    """Converts [count, 4] of centre x, centre y, width, height."""
    half = centres[:, 2:] / 2
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1)
