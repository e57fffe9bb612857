"""Maps, masks and boxes as ids, against NumPy's arithmetic."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from official_vision.data.objects.boxes import boxes_of, painted
from official_vision.data.objects.network_input import NetworkInput, Placement, fed, placed
from official_vision.data.objects.network_output import ids_of
from official_vision.errors import UserError
from official_vision.specs import PrepareSpec


def enlarged(scores, height, width):
    """Bilinear enlargement [rows, columns, classes] with half-pixel centres, edges repeated."""
    for axis, length in enumerate((height, width)):
        count = scores.shape[axis]
        places = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
        low = np.floor(places).astype(int)
        share = (places - low).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        high = np.minimum(low + 1, count - 1)
        scores = scores.take(low, axis) * (1 - share) + scores.take(high, axis) * share
    return scores


def whole(height, width, size=None):
    """A frame that fills the input."""
    size = size or (height, width)
    return Placement((height, width), size, (0, 0), size)


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    classes=st.integers(2, 12),
    channels_first=st.booleans(),
)
def test_small_scores_are_enlarged_before_the_greatest_is_taken(
    seed, rows, columns, classes, channels_first
):
    scores = np.random.default_rng(seed).normal(size=(rows, columns, classes)).astype(np.float32)
    height, width = rows * 3 + 1, columns * 4
    exact = enlarged(scores.astype(np.float64), height, width)
    values = scores.transpose(2, 0, 1) if channels_first else scores
    spec = PrepareSpec(objects="onnx:any", object_result="scores")
    # Where shapes leave the order open, it is the input's.
    place = whole(height, width, (rows, columns))
    hypothesis.assume(1 not in (rows, columns))
    ids = ids_of({"logits": values[np.newaxis]}, place, spec, channels_first)
    other = np.sort(exact, axis=-1)
    sure = other[..., -1] - other[..., -2] > 1e-4
    np.testing.assert_array_equal(ids[sure], exact.argmax(-1)[sure])
    by_pixel = ids_of(
        {"logits": values[np.newaxis]},
        place,
        PrepareSpec(objects="onnx:any", object_enlarged="ids"),
        channels_first,
    )
    nearest = scores.argmax(-1)[
        (np.arange(height) * rows // height)[:, np.newaxis], np.arange(width) * columns // width
    ]
    np.testing.assert_array_equal(by_pixel, nearest)


def test_the_order_of_scores_is_the_one_that_keeps_the_aspect():
    """Scores of TensorFlow's order from a network that is fed PyTorch's, and the other way round."""
    scores = np.random.default_rng(0).normal(size=(24, 40, 3)).astype(np.float32)
    spec, place = PrepareSpec(objects="onnx:any"), whole(24, 40, (48, 80))
    for values, fed_first in ((scores, True), (scores.transpose(2, 0, 1), False)):
        ids = ids_of({"out": values[np.newaxis]}, place, spec, fed_first)
        np.testing.assert_array_equal(ids, scores.argmax(-1))


@pytest.mark.parametrize("shape", [(1, 6, 8), (1, 1, 6, 8), (1, 6, 8, 1)])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float32])
def test_ids_of_every_shape_and_type(shape, dtype):
    ids = np.random.default_rng(0).integers(0, 9, (6, 8))
    spec = PrepareSpec(objects="onnx:any", object_id_offset=-1, object_unlabelled_id=4)
    expected = np.where((ids == 0) | (ids == 4), 255, ids - 1)
    ids_found = ids_of({"ids": ids.reshape(shape).astype(dtype)}, whole(6, 8), spec, True)
    np.testing.assert_array_equal(ids_found, expected)


def test_a_mask_is_the_object_where_its_score_reaches_the_threshold():
    scores = np.random.default_rng(0).uniform(size=(1, 1, 5, 7)).astype(np.float32)
    spec = PrepareSpec(
        objects="onnx:any", object_result="mask", object_threshold=0.3,
        object_background_id=9, object_id_offset=2,
    )  # fmt: skip
    exact = enlarged(scores[0, 0, ..., np.newaxis].astype(np.float64), 11, 15)[..., 0]
    sure = np.abs(exact - 0.3) > 1e-5
    ids = ids_of({"mask": scores}, whole(11, 15, (5, 7)), spec, True)
    np.testing.assert_array_equal(ids[sure], np.where(exact >= 0.3, 3, 9)[sure])
    with pytest.raises(
        UserError, match=r"A mask has scores in 0\.\.1\. Received: output 'mask' with"
    ):
        ids_of({"mask": scores * 8}, whole(5, 7), spec, True)


def test_the_border_of_a_letterbox_is_left_out_of_maps():
    """A frame of 8 x 16 in an input of 32 x 32 takes rows 8 to 24 of it: 2 to 6 of a map of 8 x 8."""
    spec = PrepareSpec(objects="onnx:any", object_fit="letterbox", object_input_size=32)
    place = placed((8, 16), NetworkInput(np.dtype(np.float32)), spec)
    assert (place.corner, place.part) == ((8, 0), (16, 32))
    ids = np.random.default_rng(0).integers(0, 9, (8, 8))
    ids_found = ids_of({"ids": ids[np.newaxis]}, place, spec, True)
    np.testing.assert_array_equal(ids_found, ids[2:6].repeat(2, axis=0).repeat(2, axis=1))
    pixels = fed([np.zeros((8, 16, 3), np.uint8)], place, NetworkInput(np.dtype(np.uint8)), spec)
    assert (pixels == 114).all(axis=(0, 2, 3)).tolist() == [True] * 8 + [False] * 16 + [True] * 8


def union_share(one, other):
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / (areas - common)


def painted_by_hand(boxes, scores, numbers, shape, threshold, overlap):
    """Boxes in pixels of the frame, painted one by one."""
    painted_boxes = []
    for index in np.argsort(-scores):
        repeats = (
            numbers[index] == numbers[k] and union_share(boxes[index], boxes[k]) > overlap
            for k in painted_boxes
        )
        if scores[index] >= threshold and not any(repeats):
            painted_boxes.append(index)
    ids = np.zeros(shape, int)
    for index in reversed(painted_boxes):
        for row in range(shape[0]):
            for column in range(shape[1]):
                left, top, right, bottom = np.rint(boxes[index])
                if left <= column < right and top <= row < bottom:
                    ids[row, column] = numbers[index] + 1
    return ids


@hypothesis.given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 12))
def test_boxes_are_painted_in_rising_score_wherever_they_come_from(seed, count):
    """The same boxes as rows, three lists, YOLO's columns and DETR's queries give the ids of loops."""
    random = np.random.default_rng(seed)
    height, width, classes = 12, 20, 3
    # In eighths of pixels, exact in float32, and never halves, which rounding could take to either side.
    corners = random.integers(0, [2 * width, 2 * height] * 2, (count, 4)) * 0.5 + 0.125
    corners = np.concatenate([np.sort(corners[:, 0::2]), np.sort(corners[:, 1::2])], 1)[
        :, [0, 2, 1, 3]
    ]
    corners[:, 2:] += 1.0
    scores = random.permutation(np.arange(count) + 1) / (count + 1)
    numbers = random.integers(0, classes, count)
    place = whole(height, width)
    shares = {union_share(a, b) for i, a in enumerate(corners) for b in corners[i + 1 :]}
    hypothesis.assume(all(abs(share - 0.4) > 1e-3 for share in shares))
    expected = painted_by_hand(corners, scores, numbers, (height, width), 0.3, 0.4)

    usual = {"object_threshold": 0.3, "object_overlap": 0.4, "object_id_offset": 1}
    rows = np.column_stack([corners, scores, numbers])
    lists = {
        "boxes": corners[np.newaxis],
        "scores": scores[np.newaxis],
        "labels": numbers[np.newaxis],
    }
    swapped = corners[:, [1, 0, 3, 2]] / [height, width, height, width]
    outputs = [
        ("boxes", "xyxy_pixels", {"rows": rows[np.newaxis]}),
        ("boxes", "xyxy_pixels", {name: value[0] for name, value in lists.items()}),
        ("boxes", "yxyx_shares", lists | {"boxes": swapped[np.newaxis], "count": np.ones(1)}),
    ]
    centred = np.concatenate(
        [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1
    )
    if count:
        by_class = np.full((count, classes), 0.01)
        by_class[np.arange(count), numbers] = scores
        # As many columns as rows at least, of scores of 0.
        columns = np.concatenate([centred, by_class], 1).T
        columns = np.concatenate([columns, np.zeros((4 + classes, 8))], 1)
        outputs.append(("yolo", "xyxy_pixels", {"output0": columns[np.newaxis]}))
        logits = np.log(by_class / (1 - by_class))
        queries = {
            "logits": logits[np.newaxis],
            "pred_boxes": (centred / [width, height, width, height])[np.newaxis],
        }
        outputs.append(("detr_sigmoid", "xyxy_pixels", queries))
    for result, box_format, values in outputs:
        spec = PrepareSpec(
            objects="onnx:any", object_result=result, object_box_format=box_format, **usual
        )
        ids = painted(boxes_of(values, place, spec), place, spec)
        np.testing.assert_array_equal(ids, expected, err_msg=result)


def test_detrs_scores_are_a_softmax_without_its_last_class():
    logits = np.random.default_rng(0).normal(size=(1, 5, 4))
    outputs = {"logits": logits, "pred_boxes": np.full((1, 5, 4), 0.5)}
    spec = PrepareSpec(objects="onnx:any", object_result="detr")
    boxes = boxes_of(outputs, whole(10, 20), spec)
    shares = np.exp(logits[0]) / np.exp(logits[0]).sum(-1, keepdims=True)
    np.testing.assert_allclose(boxes.scores, shares[:, :3].max(-1), rtol=1e-6)
    np.testing.assert_array_equal(boxes.numbers, shares[:, :3].argmax(-1))
    np.testing.assert_allclose(boxes.corners, [[5, 2.5, 15, 7.5]] * 5)
    assert boxes.classes == 3


def test_boxes_of_a_letterbox_lie_where_the_frame_shows_them():
    """A frame of 8 x 16 in 32 x 32 is doubled and begins at row 8; endless boxes are passed over."""
    spec = PrepareSpec(
        objects="onnx:any", object_result="boxes", object_fit="letterbox", object_input_size=32,
        object_background_id=255,
    )  # fmt: skip
    place = placed((8, 16), NetworkInput(np.dtype(np.float32)), spec)
    rows = np.array(
        [[4, 10, 12, 16, 0.9, 7], [np.inf, 0, 9, 9, 0.95, 1], [np.nan, 0, 9, 9, 0.95, 1]]
    )
    expected = np.full((8, 16), 255)
    expected[1:4, 2:6] = 7
    ids = painted(boxes_of({"rows": rows[np.newaxis]}, place, spec), place, spec)
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize(
    ("result", "outputs", "message"),
    [
        ("yolo", {"a": (1, 25, 6)}, r"gives \[batch, 4 \+ classes, boxes\]\. Received: \(1, 25, 6\)"),
        ("boxes", {"a": (1, 9, 7)}, r"gives rows \[batch, boxes, 6\].*Received: \(1, 9, 7\)"),
        ("boxes", {"boxes": (1, 9, 4), "scores": (1, 8), "labels": (1, 9)}, r"Received: \(1, 9, 4\), \(1, 8\)"),
        ("boxes", {"a": (1, 9, 4), "b": (1, 9)}, "gives .boxes, scores, labels.*Received: '', the outputs are a, b"),
        ("detr", {"logits": (1, 9, 4), "pred_boxes": (1, 8, 4)}, r"Received: \(1, 9, 4\) and \(1, 8, 4\)"),
    ],
)  # fmt: skip
def test_boxes_of_other_shapes_are_refused_in_one_line(result, outputs, message):
    spec = PrepareSpec(objects="onnx:any", object_result=result)
    with pytest.raises(UserError, match=message) as caught:
        boxes_of({name: np.zeros(shape) for name, shape in outputs.items()}, whole(4, 4), spec)
    assert "\n" not in str(caught.value)
