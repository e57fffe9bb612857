"""A known motion through crop, resize and flip: flow still leads every pixel to the next frame."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from official_vision.data.input.geometry import crop_and_resize, evaluation_box, random_box

HEIGHT, WIDTH = 80, 120
SHIFT = np.array([3.0, -2.0])  # pixels per frame: right and up


@pytest.fixture(scope="module")
def clip(texture):
    """Three frames of a texture that moves by SHIFT, its flow, and ids in 8-pixel squares."""
    picture = texture(HEIGHT + 20, WIDTH + 20, blur=4.0)
    starts = [np.int64(10 - SHIFT[::-1] * t) for t in range(3)]
    frames = np.stack([picture[y : y + HEIGHT, x : x + WIDTH] for y, x in starts])
    rgb = np.repeat(frames[..., np.newaxis], 3, axis=-1)
    flow = np.broadcast_to(np.float32(SHIFT), (3, HEIGHT, WIDTH, 2))
    rows, columns = np.indices((HEIGHT, WIDTH)) // 8
    ids = np.broadcast_to(np.uint8(rows * 15 + columns)[..., np.newaxis], (3, HEIGHT, WIDTH, 1))
    return {"rgb": tf.constant(rgb), "flow": tf.constant(flow), "objects": tf.constant(ids)}


def sampled(picture, y, x):
    """Bilinear samples of [height, width] at real positions inside it."""
    top, left = np.floor(y).astype(int), np.floor(x).astype(int)
    down, right = y - top, x - left
    upper = picture[top, left] * (1 - right) + picture[top, left + 1] * right
    lower = picture[top + 1, left] * (1 - right) + picture[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def warp_error(rgb, flow):
    """Mean grey difference between frame 0 and frame 1 sampled where the flow leads."""
    first, second = rgb[0, ..., 0].astype(float), rgb[1, ..., 0].astype(float)
    y, x = np.indices(first.shape)
    y, x = y + flow[0, ..., 1], x + flow[0, ..., 0]
    inside = (y >= 0) & (y < first.shape[0] - 1) & (x >= 0) & (x < first.shape[1] - 1)
    assert inside.mean() > 0.5
    return np.abs(first[inside] - sampled(second, y[inside], x[inside])).mean()


BOXES = [[0, 0, 80, 120], [0, 20, 80, 80], [10, 30, 40, 60], [33, 7, 41, 37]]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("box", BOXES)
def test_flow_still_leads_to_the_next_frame(clip, box, flip):
    cropped = crop_and_resize(clip, tf.constant(box), 48, tf.constant(flip))
    rgb, flow = cropped["rgb"].numpy(), cropped["flow"].numpy()
    still = warp_error(rgb, np.zeros_like(flow))
    assert warp_error(rgb, flow) < 0.15 * still
    # By hand: 3 pixels right in a box that is 120 wide are 3 * 48 / 120 pixels of 48; the mirror turns them.
    expected = SHIFT * [48 / box[3], 48 / box[2]] * [-1 if flip else 1, 1]
    np.testing.assert_allclose(flow, np.broadcast_to(expected, flow.shape), rtol=1e-5)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("box", BOXES)
def test_ids_take_the_nearest_pixels(clip, box, flip):
    actual = crop_and_resize(clip, tf.constant(box), 48, tf.constant(flip))["objects"].numpy()
    top, left, height, width = box
    y = np.floor((np.arange(48) + 0.5) * height / 48).astype(int) + top
    x = np.floor((np.arange(48) + 0.5) * width / 48).astype(int) + left
    expected = clip["objects"].numpy()[:, y][:, :, x]
    np.testing.assert_array_equal(actual, expected[:, :, ::-1] if flip else expected)


def test_pixels_by_hand():
    """2 x 2 pixels of a box doubled: half-pixel centres, borders repeated, rounded to whole greys."""
    grey = np.zeros((1, 3, 4, 3), np.uint8)
    grey[0, 1:3, 1:3, :] = np.array([[0, 100], [50, 200]])[..., np.newaxis]
    box = tf.constant([1, 1, 2, 2])
    actual = crop_and_resize({"rgb": tf.constant(grey)}, box, 4, tf.constant(False))["rgb"]
    weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    expected = np.rint(weights @ np.array([[0, 100], [50, 200]]) @ weights.T)
    assert actual.dtype == tf.uint8
    assert np.abs(actual[0, ..., 0].numpy() - expected).max() <= 1e-6


def test_the_same_inside_tf_data(clip):
    box = tf.constant([10, 30, 40, 60])
    eager = crop_and_resize(clip, box, 32, tf.constant(True))
    dataset = tf.data.Dataset.from_tensors((clip, box, True)).map(
        lambda features, where, flip: crop_and_resize(features, where, 32, flip)
    )
    assert dataset.element_spec["flow"].shape == [3, 32, 32, 2]
    inside = next(iter(dataset))
    for name, value in eager.items():
        assert value.dtype == inside[name].dtype
        np.testing.assert_allclose(inside[name].numpy(), value.numpy(), atol=1e-5)


SIZES = st.integers(16, 400)


@given(SIZES, SIZES, st.floats(0, 1))
def test_evaluation_takes_the_greatest_square(height, width, position):
    box = evaluation_box(tf.constant(height), tf.constant(width), tf.constant(position))
    top, left, *sides = box.numpy()
    assert sides == [min(height, width)] * 2
    assert abs(top - position * (height - sides[0])) <= 0.501
    assert abs(left - position * (width - sides[1])) <= 0.501


@settings(max_examples=60)
@given(SIZES, SIZES, st.floats(0.05, 1), st.integers(0, 2**31 - 1))
def test_random_boxes_lie_inside_and_are_big_and_square_enough(height, width, least, number):
    seed = tf.constant([1, number])
    box = random_box(tf.constant(height), tf.constant(width), least, seed).numpy()
    again = random_box(tf.constant(height), tf.constant(width), least, seed).numpy()
    np.testing.assert_array_equal(box, again)
    top, left, box_height, box_width = box
    assert 0 <= top <= top + box_height <= height
    assert 0 <= left <= left + box_width <= width
    if box_height == box_width == min(height, width):
        return  # the greatest square replaces draws that don't fit
    rounding = 1 / box_height + 1 / box_width
    assert box_height * box_width >= least * height * width * (1 - rounding)
    assert abs(np.log(box_width / box_height)) <= np.log(4 / 3) + rounding


def test_random_boxes_cover_the_frame_evenly():
    seeds = tf.stack([tf.zeros(400, tf.int32), tf.range(400)], 1)
    boxes = tf.map_fn(
        lambda s: random_box(tf.constant(100), tf.constant(160), 0.2, s), seeds
    ).numpy()
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    np.testing.assert_allclose(centres.mean(0), [50, 80], atol=4)
    areas = boxes[:, 2] * boxes[:, 3] / 16000
    assert areas.min() < 0.25
    assert areas.max() > 0.6


def test_whole_frames_only_move_the_square():
    """min_area 1 fits no draw: the greatest square is taken, anywhere along the longer side."""
    seeds = tf.stack([tf.zeros(100, tf.int32), tf.range(100)], 1)
    boxes = tf.map_fn(
        lambda s: random_box(tf.constant(64), tf.constant(100), 1.0, s), seeds
    ).numpy()
    assert (boxes[:, 2:] == 64).all()
    assert (boxes[:, 0] == 0).all()
    assert boxes[:, 1].min() < 4
    assert boxes[:, 1].max() > 32
