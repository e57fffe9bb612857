"""Flow methods on known motions, the twin inside the model, and the uint8 form."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from official_vision.data.optical_flow import dequantise, dis_flow, quantise, tvl1_flow
from official_vision.modeling.flow import RepresentationFlow

BOUNDS = st.floats(0.5, 100)


@given(arrays(np.float32, (3, 4), elements=st.floats(-200, 200, width=32)), BOUNDS)
def test_quantising_errs_by_half_a_step_within_the_bound_and_clips_beyond(flow, bound):
    restored = dequantise(quantise(flow, bound), bound)
    error = np.abs(restored - np.clip(flow, -bound, bound))
    assert error.max() <= bound / 254 * (1 + 1e-4)


@given(arrays(np.float32, 8, elements=st.floats(-200, 200, width=32)), BOUNDS)
def test_codes_are_symmetric_about_the_zero(flow, bound):
    codes = quantise(flow, bound).astype(int)
    assert codes.min() >= 1
    np.testing.assert_array_equal(quantise(-flow, bound).astype(int) - 128, 128 - codes)


def test_codes_by_hand():
    """20 pixels are 127 codes; 0 is 128."""
    flow = np.float32([0, 20, -20, 1, -0.05, 35])
    np.testing.assert_array_equal(quantise(flow, 20.0), [128, 255, 1, 134, 128, 255])
    np.testing.assert_allclose(dequantise(np.uint8([128, 134]), 20.0), [0, 6 * 20 / 127], rtol=1e-6)


def shifted(picture, x, y, size=64, margin=12):
    """Two views of a picture; what is at p in the first is at p + (x, y) in the second."""
    first = picture[margin : margin + size, margin : margin + size]
    second = picture[margin - y : margin - y + size, margin - x : margin - x + size]
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("shift", [(1, 0), (0, 1), (-1, 0), (3, -2), (0, 0)])
def test_dis_finds_a_shift(texture, shift, fast):
    flow = dis_flow(fast)(*shifted(texture(96, 96), *shift))
    np.testing.assert_allclose(np.median(flow, (0, 1)), shift, atol=0.1)


def test_dis_finds_a_shift_in_frames_that_are_enlarged_for_it(texture):
    flow = dis_flow()(*shifted(texture(60, 60, blur=2.0), 1, 0, size=20))
    assert flow.shape == (20, 20, 2)
    np.testing.assert_allclose(np.median(flow, (0, 1)), [1, 0], atol=0.2)


@pytest.mark.parametrize("shift", [(1, 0), (0, 1), (-1, 0)])
def test_tvl1_finds_the_direction_of_a_shift_and_most_of_its_length(texture, shift):
    flow = tvl1_flow(*shifted(texture(96, 96), *shift), iterations=200)
    x, y = np.median(flow[8:-8, 8:-8], (0, 1))
    along, across = (x, y) if shift[0] else (y, x)
    assert 0.5 < along * sum(shift) < 1.3
    assert abs(across) < 0.2


def tvl1_by_loops(first, second, iterations, tau=0.25, weight=0.15, theta=0.3):
    """The algorithm's lines pixel by pixel, without any array arithmetic."""
    height, width = first.shape

    def at(image, y, x):
        return float(image[y, x]) if 0 <= y < height and 0 <= x < width else 0.0

    cells = [(y, x) for y in range(height) for x in range(width)]
    g = {
        (y, x): (
            (at(second, y, x + 1) - at(second, y, x - 1)) / 2,
            (at(second, y + 1, x) - at(second, y - 1, x)) / 2,
        )
        for y, x in cells
    }
    u = {c: [0.0, 0.0] for c in cells}
    p = {(c, k): [0.0, 0.0] for c in cells for k in range(2)}
    for _ in range(iterations):
        v = {}
        for c in cells:
            gx, gy = g[c]
            rho = float(second[c]) - float(first[c]) + gx * u[c][0] + gy * u[c][1]
            d = min(max(-rho / (gx**2 + gy**2 + 1e-12), -weight * theta), weight * theta)
            v[c] = [u[c][0] + d * gx, u[c][1] + d * gy]
        for y, x in cells:
            for k in range(2):
                left = p[((y, x - 1), k)][0] if x else 0.0
                above = p[((y - 1, x), k)][1] if y else 0.0
                dual = p[((y, x), k)]
                u[(y, x)][k] = v[(y, x)][k] + theta * (dual[0] - left + dual[1] - above)
        for y, x in cells:
            for k in range(2):
                right = u[(y, x + 1)][k] - u[(y, x)][k] if x + 1 < width else 0.0
                below = u[(y + 1, x)][k] - u[(y, x)][k] if y + 1 < height else 0.0
                scale = 1 + tau / theta * (right**2 + below**2) ** 0.5
                dual = p[((y, x), k)]
                dual[0] = (dual[0] + tau / theta * right) / scale
                dual[1] = (dual[1] + tau / theta * below) / scale
    return np.array([[u[(y, x)] for x in range(width)] for y in range(height)])


def test_tvl1_is_the_published_iteration(texture):
    first, second = shifted(texture(40, 40, blur=1.5), 1, 0, size=7)
    expected = tvl1_by_loops(first, second, 9)
    actual = tvl1_flow(first, second, 9, border="textbook")
    np.testing.assert_allclose(actual, expected, atol=1e-3)


@pytest.mark.parametrize("border", ["authors", "textbook"])
def test_tvl1_is_the_twin_of_the_layer(texture, border):
    """The layer stretches grey to 0..255; these frames span it already."""
    first, second = shifted(texture(96, 96), 1, -1)
    first[0, 0], second[0, 0], first[0, 1] = 0, 255, 255
    rgb = np.repeat(np.stack([first, second])[np.newaxis, ..., np.newaxis], 3, axis=-1)
    layer = RepresentationFlow(iterations=30, border=border)(tf.constant(rgb)).numpy()
    actual = tvl1_flow(first, second, 30, border=border)
    np.testing.assert_allclose(actual, layer[0, 0], atol=2e-3)
