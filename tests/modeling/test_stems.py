"""Stems against numpy (AssembleNet++ supplement, A.1)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.stems import ConvolutionalStem, ObjectStem
from tests.modeling import twins

FRAMES = 6
CPU = Execution(cpu_kernels=True)


def twin(stem, x: np.ndarray, training: bool) -> np.ndarray:
    kernel = twins.value(stem.spatial.kernel)
    y = twins.convolution(x.astype(np.float64), kernel, 2, stem.padding)
    y = twins.relu(twins.batch_norm(y, stem.spatial_norm, training))
    if stem.temporal_kernel_size:
        kernel = twins.value(stem.temporal.kernel)
        assert len(kernel) == stem.temporal_kernel_size
        y = twins.temporal_convolution(y, kernel, FRAMES, stem.temporal_dilation)
        y = twins.relu(twins.batch_norm(y, stem.temporal_norm, training))
    return twins.max_pool(y, stem.pool_size, 2, stem.pool_padding) if stem.pool_size else y


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("channels", "kernel", "temporal", "dilation", "pool"),
    [(3, 7, 5, 1, 2), (3, 7, 5, 2, 2), (3, 7, 5, 4, 3), (2, 7, 0, 1, 2), (3, 3, 3, 1, 0)],
    ids=["rgb", "rgb dilated", "rgb of the authors' file", "flow", "lite"],
)
def test_convolutional_stem(
    channels: int, kernel: int, temporal: int, dilation: int, pool: int, training: bool
) -> None:
    stem = ConvolutionalStem(4, kernel, temporal, dilation, pool)
    x = twins.maps(2 * FRAMES, 11, 16, channels)
    stem(x, FRAMES)
    twins.randomise(stem)
    expected = twin(stem, x, training)
    assert expected.shape[1:3] == ((3, 4) if pool else (6, 8))
    np.testing.assert_allclose(stem(x, FRAMES, training=training), expected, atol=1e-5)


@pytest.mark.parametrize("recomputes", [False, True])
@pytest.mark.parametrize("pool_size", [2, 3])
@pytest.mark.parametrize(
    ("padding", "pool_padding"), [("same", "same"), ("symmetric", "symmetric")]
)
def test_paddings_of_a_stem(padding, pool_padding, pool_size, recomputes):
    execution = Execution(recomputes="norms" if recomputes else "nothing")
    stem = ConvolutionalStem(4, 7, 5, 2, pool_size, padding, pool_padding, execution=execution)
    x = twins.maps(2 * FRAMES, 12, 16, 3)
    stem(x, FRAMES)
    twins.randomise(stem)
    expected = twin(stem, x, training=True)
    with tf.GradientTape() as tape:
        y = stem(tf.constant(x), FRAMES, training=True)
        total = tf.reduce_sum(tf.sin(y))
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert np.any(tape.gradient(total, stem.spatial.kernel))


def pooled_one_hot(ids: np.ndarray, classes: int) -> np.ndarray:
    """One channel per class, then the maximum over 4x4 windows."""
    one_hot = (ids[..., np.newaxis] == np.arange(classes)).astype(np.float32)
    pads = [(0, -size % 4) for size in ids.shape[1:]]
    one_hot = np.pad(one_hot, [(0, 0), *pads, (0, 0)])
    rows, height, width, _ = one_hot.shape
    windows = one_hot.reshape(rows, height // 4, 4, width // 4, 4, classes)
    return windows.max(axis=(2, 4))


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    classes=st.integers(1, 255),
    seed=st.integers(0, 99),
)
def test_object_stem_is_the_maximum_of_one_hot_maps(
    height: int, width: int, classes: int, seed: int
) -> None:
    """Sizes that 4 does not divide, ids beyond the classes."""
    ids = np.random.default_rng(seed).integers(0, 256, (2, height, width), np.uint8)
    ids[0, 0, 0] = classes - 1
    pooled = ObjectStem(classes)(ids)
    np.testing.assert_array_equal(pooled, pooled_one_hot(ids, classes))
    assert pooled.numpy()[0, 0, 0, classes - 1] == 1
    np.testing.assert_array_equal(ObjectStem(classes, execution=CPU)(ids), pooled)


@pytest.mark.parametrize("classes", [31, 32, 33, 64, 151, 255])
@pytest.mark.parametrize("execution", [PLAIN, CPU])
def test_every_class_lights_only_its_channel(classes: int, execution: Execution) -> None:
    ids = np.broadcast_to(np.arange(classes, dtype=np.uint8)[:, None, None], (classes, 4, 4))
    np.testing.assert_array_equal(
        ObjectStem(classes, execution=execution)(ids)[:, 0, 0], np.eye(classes)
    )


@pytest.mark.parametrize("unknown", [5, 31, 32, 254, 255])
def test_ids_beyond_the_classes_light_nothing(unknown: int) -> None:
    assert not np.any(ObjectStem(5, execution=CPU)(np.full((2, 8, 8), unknown, np.uint8)))
    assert not np.any(ObjectStem(5)(np.full((2, 8, 8), unknown, np.uint8)))


@pytest.mark.parametrize("execution", [PLAIN, CPU])
def test_object_stem_of_free_sizes(execution: Execution) -> None:
    stem = ObjectStem(7, execution=execution)
    stem = tf.function(stem, input_signature=[tf.TensorSpec([None, None, None], tf.uint8)])
    for shape in ((1, 4, 4), (3, 5, 10)):
        ids = np.random.default_rng(0).integers(0, 9, shape, np.uint8)
        np.testing.assert_array_equal(stem(ids), pooled_one_hot(ids, 7))


@pytest.mark.parametrize("execution", [PLAIN, CPU])
def test_object_stem_compiles(execution: Execution) -> None:
    """As in a training step that XLA compiles whole, on TPUs."""
    ids = np.random.default_rng(0).integers(0, 9, (2, 8, 12), np.uint8)
    stem = ObjectStem(7, execution=execution)
    compiled = tf.function(stem, jit_compile=True)
    np.testing.assert_array_equal(compiled(tf.constant(ids)), pooled_one_hot(ids, 7))
