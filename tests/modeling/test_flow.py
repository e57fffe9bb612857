"""TV-L1 inside the model: against numpy, and against motions that are known ."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.modeling.execution import Execution
from official_vision.modeling.flow import RepresentationFlow
from tests.modeling import twins

THETA, LAMBDA, TAU = 0.3, 0.15, 0.25
COMPILED = Execution(cpu_kernels=True, compiles_flow=True)
EXECUTIONS = [COMPILED, Execution(compiles_flow=True), Execution()]


def at(image: np.ndarray, row: int, column: int) -> float:
    """Zero outside."""
    height, width = image.shape
    return image[row, column] if 0 <= row < height and 0 <= column < width else 0.0


def pixel_flow(
    first: np.ndarray, second: np.ndarray, iterations: int, border: str = "authors"
) -> np.ndarray:
    """The formulas pixel by pixel; [height, width] twice -> [height, width, 2]."""
    height, width = first.shape
    places = [(row, column) for row in range(height) for column in range(width)]
    g = np.zeros((height, width, 2))
    for row, column in places:
        g[row, column, 0] = (at(second, row, column + 1) - at(second, row, column - 1)) / 2
        g[row, column, 1] = (at(second, row + 1, column) - at(second, row - 1, column)) / 2
    u, p = np.zeros((height, width, 2)), np.zeros((height, width, 2, 2))  # p[..., component, axis]
    for _ in range(iterations):
        moved = np.zeros_like(u)
        for row, column in places:
            slope = g[row, column]
            rho = second[row, column] - first[row, column] + slope @ u[row, column]
            steepness = slope @ slope
            d = np.clip(-rho / steepness, -LAMBDA * THETA, LAMBDA * THETA) if steepness else 0.0
            v = u[row, column] + d * slope
            for c in range(2):
                x, y = p[..., c, 0], p[..., c, 1]
                here_x, here_y = x[row, column], y[row, column]
                if border == "authors":  # p of the last column or row counts as 0
                    here_x *= column < width - 1
                    here_y *= row < height - 1
                divergence = here_x - at(x, row, column - 1) + here_y - at(y, row - 1, column)
                moved[row, column, c] = v[c] + THETA * divergence
        u = moved
        for row, column in places:
            for c in range(2):
                right, below = at(u[..., c], row, column + 1), at(u[..., c], row + 1, column)
                if border == "textbook":
                    right = u[row, min(column + 1, width - 1), c]
                    below = u[min(row + 1, height - 1), column, c]
                slope = np.array([right, below]) - u[row, column, c]
                length = np.sqrt(slope @ slope)
                p[row, column, c] += TAU / THETA * slope
                p[row, column, c] /= 1 + TAU / THETA * length
    return u


def grey_clip(*frames: np.ndarray) -> np.ndarray:
    """Frames [height, width] -> rgb [1, time, height, width, 3] whose channels differ."""
    offsets = np.array([-1.0, 0.5, 0.5], np.float32)
    return (np.stack(frames)[..., np.newaxis] + offsets)[np.newaxis].astype(np.float32)


def stretched(clips: np.ndarray, stretch: str) -> np.ndarray:
    grey = clips.astype(np.float64).mean(axis=-1)
    parts = [grey] if stretch == "batch" else [frame[np.newaxis] for frame in grey]
    return np.concatenate([(x - x.min()) / (x.max() - x.min()) * 255 for x in parts])


@pytest.mark.parametrize(("border", "stretch"), [("authors", "batch"), ("textbook", "clip")])
@pytest.mark.parametrize(
    ("iterations", "execution"),
    [(1, COMPILED), (2, COMPILED), (7, COMPILED), (12, COMPILED), (7, Execution())],
)
def test_flow_is_that_of_the_formulas(
    iterations: int, execution: Execution, border: str, stretch: str
) -> None:
    clips = 40 * twins.maps(2, 3, 5, 6, 3) + 100
    clips[1] *= 0.5  # of less contrast
    grey = stretched(clips, stretch)
    settings = {"border": border, "stretch": stretch, "execution": execution}
    actual = RepresentationFlow(iterations, **settings)(clips).numpy()
    assert actual.shape == (2, 3, 5, 6, 2)
    for clip in range(2):
        for frame in range(2):
            expected = pixel_flow(grey[clip, frame], grey[clip, frame + 1], iterations, border)
            np.testing.assert_allclose(actual[clip, frame], expected, atol=1e-4)
    np.testing.assert_array_equal(actual[:, 2], actual[:, 1])  # the last flow is repeated


def texture(shift_x: float, shift_y: float, size: int = 40) -> np.ndarray:
    """Smooth waves in both directions, moved to the right and downwards."""
    y, x = np.mgrid[:size, :size].astype(np.float64)
    x, y = x - shift_x, y - shift_y
    return 100 + 50 * np.sin(x / 5) + 50 * np.cos(y / 4) + 20 * np.sin((x + y) / 7)


@pytest.mark.parametrize(
    ("shift_x", "shift_y"), [(1, 0), (0, 1), (-1, 0), (0, -1), (0.5, -0.5), (0, 0)]
)
def test_a_texture_moved_by_a_pixel_gives_that_flow(shift_x: float, shift_y: float) -> None:
    clip = grey_clip(texture(0, 0), texture(shift_x, shift_y))
    flow = RepresentationFlow(execution=COMPILED)(clip).numpy()[0, 0, 8:-8, 8:-8]
    assert np.median(flow[..., 0]) == pytest.approx(shift_x, abs=0.1)
    assert np.median(flow[..., 1]) == pytest.approx(shift_y, abs=0.1)


def test_the_scale_of_the_input_does_not_matter() -> None:
    clip = grey_clip(texture(0, 0, 12), texture(1, 0, 12))
    flow = RepresentationFlow(5, execution=COMPILED)
    np.testing.assert_allclose(flow(clip), flow(clip / 255), atol=1e-3)
    as_bytes = np.rint(np.clip(clip, 0, 255)).astype(np.uint8)
    np.testing.assert_allclose(flow(as_bytes), flow(as_bytes.astype(np.float32)), atol=1e-6)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_clip_s_flow_does_not_depend_on_the_clips_beside_it(execution: Execution) -> None:
    clip = grey_clip(100 + texture(0, 0, 12) / 20, 100 + texture(1, 0, 12) / 20).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, clip.shape, np.uint8)
    strangers = [np.zeros_like(clip), np.full_like(clip, 255), noise]
    layer = RepresentationFlow(5, execution=execution)
    alone, together = layer(clip).numpy(), layer(np.concatenate([clip, *strangers])).numpy()
    np.testing.assert_allclose(together[:1], alone, atol=1e-6)
    assert not np.any(together[1:3])  # of one grey value nothing moves
    layer = RepresentationFlow(5, stretch="batch", execution=execution)
    together = layer(np.concatenate([clip, *strangers])).numpy()
    assert np.abs(together[:1] - alone).max() > 0.1
    again = layer(np.concatenate([clip, *strangers]), clip_by_clip=True).numpy()  # is traced anew
    np.testing.assert_allclose(again[:1], alone, atol=1e-6)


def test_one_frame_and_a_still_picture_have_no_flow() -> None:
    flow = RepresentationFlow(3, execution=COMPILED)
    for clip in (twins.maps(2, 1, 4, 4, 3), np.full((1, 3, 4, 4, 3), 7, np.uint8)):
        actual = flow(clip)
        assert actual.shape == (*clip.shape[:4], 2)
        assert not np.any(actual)


def test_the_loop_is_no_longer_for_more_iterations_and_passes_no_gradient() -> None:
    def nodes(iterations: int) -> int:
        traced = tf.function(
            RepresentationFlow(iterations, execution=COMPILED)
        ).get_concrete_function(tf.TensorSpec([1, 2, 8, 8, 3], tf.float32))
        return len(traced.graph.as_graph_def().node)

    assert nodes(40) == nodes(1) < 150
    clip = tf.constant(twins.maps(1, 2, 6, 6, 3))
    with tf.GradientTape() as tape:
        tape.watch(clip)
        total = tf.reduce_sum(RepresentationFlow(2)(clip))
    assert tape.gradient(total, clip) is None


def test_half_precision_does_not_reach_the_flow() -> None:
    clip = grey_clip(texture(0, 0, 16), texture(1, 0, 16))
    expected = RepresentationFlow(5)(clip)
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        actual = RepresentationFlow(5)(clip)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert actual.dtype == tf.float32
    np.testing.assert_array_equal(actual, expected)


def test_pairs_one_by_one_are_all_at_once_under_xla() -> None:
    clips = (40 * twins.maps(2, 4, 9, 12, 3) + 100).astype(np.float32)
    flows = [RepresentationFlow(20, execution=execution)(clips).numpy() for execution in EXECUTIONS]
    assert np.abs(flows[0]).max() > 0.5
    for other in flows[1:]:
        np.testing.assert_allclose(other, flows[0], atol=1e-4)
