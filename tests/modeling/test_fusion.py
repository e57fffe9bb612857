"""The weighted fusion against numpy (AssembleNet, arXiv 1905.13209, section 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.modeling.execution import PLAIN, Execution, in_precision
from official_vision.modeling.fusion import WeightedFusion
from tests.modeling import twins

CPU = Execution(cpu_kernels=True)


def twin(fusion, inputs: list[np.ndarray], gates: list[tf.Tensor]) -> np.ndarray:
    """Every input by itself: strength, gate, its width's 1x1 convolution; then the sum."""
    total = 0.0
    for position, x in enumerate(inputs):
        y = x.astype(np.float64)
        if len(inputs) > 1:
            y = y * twins.sigmoid(twins.value(fusion.strength_logits)[position])
        if gates:
            y = y * gates[position].numpy()[:, None, None, :]
        width = x.shape[-1]
        if len(inputs) > 1 and width != fusion.target_channels:
            y = y @ twins.value(fusion.convolutions[str(width)].kernel)[0, 0]
        total = total + y
    return total


def gates_for(inputs: list[np.ndarray]) -> list[tf.Tensor]:
    random = np.random.default_rng(5)
    return [tf.constant(random.uniform(0, 1, (len(x), x.shape[-1])), tf.float32) for x in inputs]


def folded_fusion(widths: Sequence[int], target: int) -> WeightedFusion:
    fusion = WeightedFusion(widths, target, execution=Execution("inference", cpu_kernels=True))
    fusion.build(None)
    return fusion


@given(
    widths=st.lists(st.sampled_from([2, 3, 5]), min_size=1, max_size=5),
    target=st.sampled_from([2, 3, 5]),
    gated=st.booleans(),
    execution=st.sampled_from([PLAIN, CPU, Execution("tflite")]),
)
def test_fusion(widths: list[int], target: int, gated: bool, execution: Execution) -> None:
    """Equal widths, unequal ones, with and without one as wide as the target."""
    inputs = [twins.maps(3, 2, 4, width, seed=i) for i, width in enumerate(widths)]
    gates = gates_for(inputs) if gated else []
    fusion = WeightedFusion(widths, target, execution=execution)
    fusion(inputs, gates)
    twins.randomise(fusion)
    np.testing.assert_allclose(fusion(inputs, gates), twin(fusion, inputs, gates), atol=1e-5)


@given(
    widths=st.lists(st.sampled_from([2, 3, 5]), min_size=2, max_size=5),
    target=st.sampled_from([2, 3, 5]),
    gated=st.booleans(),
    height=st.sampled_from([1, 6]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
)
def test_a_folded_fusion_is_one_product(
    widths: list[int], target: int, gated: bool, height: int, dtype: str
) -> None:
    """With kernels of a frame (frames of 6 x 4 pixels) and one for all (1 x 4)."""
    inputs = [twins.maps(3, height, 4, width, seed=i) for i, width in enumerate(widths)]
    gates = gates_for(inputs) if gated else []
    with in_precision(dtype):
        fusion = folded_fusion(widths, target)
    twins.randomise(fusion)
    fusion.zero_bias.bias.assign(tf.zeros_like(fusion.zero_bias.bias))
    expected = twin(fusion, inputs, gates)
    actual = fusion([tf.cast(x, dtype) for x in inputs], gates)
    tolerance = 1e-5 if dtype == "float32" else 0.05
    np.testing.assert_allclose(
        tf.cast(actual, tf.float32), expected, atol=tolerance * np.abs(expected).max()
    )


def test_every_input_of_equal_width_reaches_the_convolution() -> None:
    """Defect 2 of the port: of several inputs as wide as each other only the first did."""
    inputs = [twins.maps(2, 3, 3, width, seed=i) for i, width in enumerate((4, 4, 4, 6))]
    fusion = WeightedFusion((4, 4, 4, 6), 6)
    fusion(inputs)
    twins.randomise(fusion)
    before = fusion(inputs).numpy()
    for position in range(4):
        without = [np.zeros_like(x) if i == position else x for i, x in enumerate(inputs)]
        assert np.abs(fusion(without).numpy() - before).max() > 0.1
    assert len(fusion.convolutions) == 1  # one for the three of them


def test_a_single_input_passes_as_it_is() -> None:
    x = twins.maps(2, 3, 3, 4)
    fusion = WeightedFusion([4], 6)
    np.testing.assert_array_equal(fusion([x]), x)
    assert fusion.weights == []
    np.testing.assert_array_equal(fusion.learned_strengths(), [1])
    gate = gates_for([x])
    np.testing.assert_allclose(fusion([x], gate), x * gate[0].numpy()[:, None, None], rtol=1e-6)


def test_training_starts_from_the_strengths_of_the_graph() -> None:
    strengths = (0.01, 0.5, 0.99989)
    inputs = [twins.maps(1, 2, 2, 3)] * 3
    fusion = WeightedFusion([3, 3, 3], 3, strengths)
    y = fusion(inputs)
    np.testing.assert_allclose(fusion.learned_strengths(), strengths, rtol=1e-5)
    np.testing.assert_allclose(y, inputs[0] * sum(strengths), rtol=1e-5)
    assert len(fusion.trainable_weights) == 1
    assert fusion.trainable_weights[0] is fusion.strength_logits


def test_strengths_start_near_a_half() -> None:
    fusion = WeightedFusion([1] * 400, 1)
    fusion([np.zeros((1, 1, 1, 1), np.float32)] * 400)
    logits = twins.value(fusion.strength_logits)
    # A normal of deviation .01 cut at two deviations; Keras keeps the deviation after the cut.
    assert np.std(logits) == pytest.approx(0.01, rel=0.2)
    assert np.abs(logits).max() < 0.025


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_scaled_kernels_compute_and_learn_as_scaled_maps_do(gated: bool, dtype: str) -> None:
    """A single input's multiplier goes into the kernel where maps are larger; into the map for TFLite."""
    inputs = [twins.maps(4, 4, 6, width, seed=width) for width in (3, 2)]
    logits = [tf.constant(twins.maps(4, 1, 1, width, seed=9)[:, 0, 0]) for width in (3, 2)]
    with in_precision(dtype):
        of_kernels = WeightedFusion((3, 2), 3, execution=CPU)
        of_maps = WeightedFusion((3, 2), 3)
    results = []
    for fusion in (of_kernels, of_maps):
        fusion(inputs)
        twins.randomise(fusion)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            gates = [tf.sigmoid(logit) for logit in logits] if gated else []
            loss = tf.reduce_sum(tf.cast(fusion(inputs, gates), tf.float32) ** 2)
        watched = [*fusion.trainable_weights, *(logits if gated else [])]
        results.append([loss, *tape.gradient(loss, watched)])
    tolerance = {"rtol": 1e-4} if dtype == "float32" else {"rtol": 0.05, "atol": 0.5}
    for actual, other in zip(*results, strict=True):
        np.testing.assert_allclose(actual, other, **tolerance)


def test_which_is_scaled() -> None:
    def products(height: int | None, execution: Execution = CPU) -> list[str]:
        fusion = WeightedFusion((2, 3), 3, execution=execution)
        maps = [tf.TensorSpec([None, height, height, width]) for width in (2, 3)]
        gates = [tf.TensorSpec([None, width]) for width in (2, 3)]
        graph = tf.function(fusion).get_concrete_function(maps, gates).graph
        return [
            operation.type
            for operation in graph.get_operations()
            if operation.type in ("Conv2D", "BatchMatMulV2")
        ]

    assert products(4) == ["BatchMatMulV2"]
    assert products(2) == ["Conv2D"]  # kernels of 6 numbers per frame, maps of 8
    assert products(None) == ["Conv2D"]
    assert products(4, PLAIN) == ["Conv2D"]


@pytest.mark.parametrize(("dtype", "height"), [("bfloat16", 4), ("bfloat16", 2), ("float32", 4)])
def test_a_folded_fusion_multiplies_maps_once(dtype: str, height: int) -> None:
    """By kernels that are scaled in bfloat16, where a frame has pixels enough; else maps are scaled."""
    widths = (2, 2, 3, 5)
    with in_precision(dtype):
        fusion = folded_fusion(widths, 3)
    maps = [tf.TensorSpec([None, height, height, width], dtype) for width in widths]
    gates = [tf.TensorSpec([None, width], dtype) for width in widths]
    graph = tf.function(fusion).get_concrete_function(maps, gates).graph
    counts = Counter(operation.type for operation in graph.get_operations())
    scaled = [
        operation
        for operation in graph.get_operations()
        if operation.type == "Mul" and operation.outputs[0].shape.rank == 4
    ]
    if (dtype, height) == ("bfloat16", 4):
        assert (counts["BatchMatMulV2"], counts["Conv2D"], len(scaled)) == (1, 0, 0)
    else:
        assert (counts["BatchMatMulV2"], counts["Conv2D"], len(scaled)) == (0, 1, 4)
