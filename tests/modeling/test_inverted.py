"""The -lite module against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.execution import Execution
from official_vision.modeling.inverted import InvertedBottleneck
from official_vision.modeling.ops import frame_layout
from tests.modeling import twins

FRAMES = 4


def twin(module, x: np.ndarray, training: bool) -> np.ndarray:
    x = x.astype(np.float64)
    y = twins.convolution(x, twins.value(module.first.kernel))
    y = twins.relu(twins.batch_norm(y, module.first_norm, training))
    kernel, dilation = twins.value(module.middle.kernel), module.temporal_dilation
    if module.stride == 1:
        y = twins.convolution_3d(y, kernel, FRAMES, dilation)
    else:
        y = twins.convolution(y, kernel, module.stride, module.padding)
        temporal = twins.value(module.temporal.kernel)
        y = twins.temporal_convolution(y, temporal, FRAMES, dilation)
    norm = module.middle_norm if module.stride == 1 else module.temporal_norm
    y = twins.relu(twins.batch_norm(y, norm, training))
    y = twins.convolution(y, twins.value(module.last.kernel))
    y = twins.batch_norm(y, module.last_norm, training)
    if module.projects:
        x = twins.convolution(x, twins.value(module.projection.kernel), module.stride)
        x = twins.batch_norm(x, module.projection_norm, training)
    return twins.relu(x + y)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("stride", "projects", "dilation"), [(1, False, 1), (1, True, 2), (2, True, 1), (2, True, 3)]
)
def test_module(stride: int, projects: bool, dilation: int, training: bool) -> None:
    module = InvertedBottleneck((3, 4, 5), stride, projects, dilation)
    x = twins.maps(2 * FRAMES, 5, 6, 5)
    module(x, FRAMES)
    twins.randomise(module)
    np.testing.assert_allclose(
        module(x, FRAMES, training=training), twin(module, x, training), atol=1e-5
    )


def test_it_starts_as_its_shortcut() -> None:
    module = InvertedBottleneck((3, 4, 5), 1, False, 2)
    x = twins.maps(FRAMES, 4, 4, 5)
    np.testing.assert_array_equal(module(x, FRAMES), np.maximum(x, 0))


def test_for_tflite_its_middle_is_one_convolution_of_two_axes() -> None:
    plain = InvertedBottleneck((3, 4, 5), 1, False, 2)
    folded = InvertedBottleneck((3, 4, 5), 1, False, 2, execution=Execution("tflite"))
    x = twins.maps(2 * FRAMES, 5, 6, 5)
    plain(x, FRAMES)
    folded(x, FRAMES)
    twins.randomise(plain)
    folded.middle.kernel.assign(plain.middle.kernel)
    y = twins.maps(2 * FRAMES, 5, 6, 3)
    expected = plain.middle(frame_layout.split_time(y, FRAMES))
    seen = frame_layout.over_time(tf.constant(y), FRAMES, folded._with_neighbours)
    actual = folded._middle_of_two_axes(seen)
    np.testing.assert_allclose(actual, frame_layout.merge_time(expected), atol=1e-5)
