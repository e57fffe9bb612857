"""Both residual modules against numpy (AssembleNet++ supplement, A.1)."""

from __future__ import annotations

import numpy as np
import pytest

from official_vision.modeling.execution import Execution
from official_vision.modeling.residual import ResidualModule2D, ResidualModule2Plus1D
from tests.modeling import twins

FRAMES = 5


def twin(module, x: np.ndarray, frames: int, training: bool) -> np.ndarray:
    """1x1 or temporal convolution, 3x3, 1x1; BN after each, ReLU after two and after the sum."""
    x = x.astype(np.float64)
    first = twins.value(module.first.kernel)
    dilation = getattr(module, "temporal_dilation", None)
    strided = module.stride if getattr(module, "downsampling", "middle") == "first" else 1
    y = (
        twins.convolution(x, first, strided)
        if dilation is None
        else twins.temporal_convolution(x, first, frames, dilation)
    )
    y = twins.relu(twins.batch_norm(y, module.first_norm, training))
    y = twins.convolution(
        y, twins.value(module.middle.kernel), module.stride // strided, module.padding
    )
    y = twins.relu(twins.batch_norm(y, module.middle_norm, training))
    y = twins.convolution(y, twins.value(module.last.kernel))
    y = twins.batch_norm(y, module.last_norm, training)
    if not module.projects:
        return twins.relu(x + y)
    shortcut = twins.convolution(x, twins.value(module.projection.kernel), module.stride)
    return twins.relu(y + twins.batch_norm(shortcut, module.projection_norm, training))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [None, 1, 2, 4])
def test_a_module_that_projects(dilation: int | None, stride: int, training: bool) -> None:
    settings = {"channels": 2, "middle_channels": 5, "stride": stride, "projects": True}
    module = (
        ResidualModule2D(**settings)
        if dilation is None
        else ResidualModule2Plus1D(temporal_dilation=dilation, **settings)
    )
    x = twins.maps(2 * FRAMES, 5, 6, 3)
    module(x, FRAMES)
    twins.randomise(module)
    expected = twin(module, x, FRAMES, training)
    assert expected.shape == (2 * FRAMES, -(-5 // stride), 6 // stride, 8)
    np.testing.assert_allclose(module(x, FRAMES, training=training), expected, atol=1e-5)


@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("downsampling", ["middle", "first"])
@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_where_a_module_strides_and_how_it_pads(padding, downsampling, recomputes):
    module = ResidualModule2D(
        3,
        5,
        stride=2,
        projects=True,
        padding=padding,
        downsampling=downsampling,
        execution=Execution(recomputes="norms" if recomputes else "nothing"),
    )
    x = twins.maps(2 * FRAMES, 6, 8, 4)
    module(x, FRAMES)
    twins.randomise(module)
    expected = twin(module, x, FRAMES, training=True)
    np.testing.assert_allclose(module(x, FRAMES, training=True), expected, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("dilation", [None, 3])
def test_a_module_with_an_identity(dilation: int | None, training: bool) -> None:
    settings = {"channels": 2, "middle_channels": 3, "stride": 1, "projects": False}
    module = (
        ResidualModule2D(**settings)
        if dilation is None
        else ResidualModule2Plus1D(temporal_dilation=dilation, **settings)
    )
    x = twins.maps(2 * FRAMES, 3, 4, 8)
    module(x, FRAMES)
    assert not [weight.name for weight in module.weights if "projection" in weight.name]
    np.testing.assert_array_equal(module(x, FRAMES), np.maximum(x, 0))  # starts as its shortcut
    twins.randomise(module)
    np.testing.assert_allclose(
        module(x, FRAMES, training=training), twin(module, x, FRAMES, training), atol=1e-5
    )


def test_a_2d_module_sees_one_frame_and_a_2plus1d_module_its_dilated_neighbours() -> None:
    settings = {"channels": 2, "middle_channels": 3, "stride": 1, "projects": True}
    for module, seen in (
        (ResidualModule2D(**settings), {3}),
        (ResidualModule2Plus1D(temporal_dilation=2, **settings), {1, 3, 5}),
    ):
        x = twins.maps(7, 3, 3, 4)
        module(x, 7)
        twins.randomise(module)
        changed = x.copy()
        changed[3] += 1
        moved = np.abs(module(changed, 7).numpy() - module(x, 7).numpy()).max(axis=(1, 2, 3))
        assert set(np.flatnonzero(moved > 1e-6)) == seen
