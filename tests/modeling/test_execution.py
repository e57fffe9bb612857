"""A whole network computes and learns the same by TensorFlow's plain operations and by those for CPUs."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.modeling.execution import (
    PLAIN,
    Execution,
    in_precision,
    inference_execution,
    training_execution,
)
from official_vision.modeling.inference.folding import folded
from official_vision.modeling.ops import thresholds
from tests.modeling import small

CPU = Execution(cpu_kernels=True, one_thread_per_operation=True)
GRAPH = Architecture(
    "two levels",
    (
        Stem("rgb", 4, 2),
        Stem("object", small.OBJECTS),
        Block(1, (0, 1), 2, 2),
        Block(2, (0, 1, 2), 3, 1, 2),
    ),
    depth=26,
)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Special operations at every width, also of a network this small."""
    for name, value in vars(thresholds).items():
        if name.startswith("LEAST_"):
            for dtype in value:
                monkeypatch.setitem(value, dtype, 0)
    monkeypatch.setattr(thresholds, "PIXELS_PER_FILTER", 0)
    monkeypatch.setattr(thresholds, "WIDE", 0)


def step_of(execution: Execution) -> tuple[list[np.ndarray], Counter[str]]:
    """Loss, gradients and moving averages of one step, and its graph's operations by type."""
    # The greatest of several frames' logits would be another frame's for a trifle.
    model = small.network(GRAPH, execution=execution, frame_pooling="mean")
    features = small.clips(size=32, streams=model.streams)

    @tf.function
    def step(features: dict[str, tf.Tensor]) -> tuple:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(features, training=True)["logits"] ** 2)
        return loss, tape.gradient(loss, model.trainable_variables)

    traced = step.get_concrete_function(features)
    loss, gradients = traced(features)
    operations = Counter(operation.type for operation in traced.graph.get_operations())
    values = [loss, *gradients, *model.non_trainable_variables]
    return [tf.cast(value, tf.float32).numpy() for value in values], operations


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 0.06)])
def test_a_step_is_the_same_by_either(precision: str, tolerance: float) -> None:
    """In bfloat16 sums depend on their order by more than single gradients bear: all of them together count."""
    with in_precision(precision):
        (plain, plain_operations), (quick, operations) = step_of(PLAIN), step_of(CPU)
    assert quick[0] == pytest.approx(plain[0], rel=tolerance / 6)
    one, other = (np.concatenate([x.ravel() for x in step[1:]]) for step in (plain, quick))
    assert np.linalg.norm(one - other) < tolerance * np.linalg.norm(one)
    if precision == "float32":
        for actual, expected in zip(quick, plain, strict=True):
            np.testing.assert_allclose(actual, expected, atol=1e-4 * np.abs(expected).max())
    # Kernels per frame, halves of rows, products for 1x1 convolutions: the plain graph has none of them.
    special = ("BatchMatMulV2", "Split", "FusedBatchNorm", "DenseBincount")
    assert {name for name in special if plain_operations[name]} == set()
    quick_ones = {*special} - ({"FusedBatchNorm"} if precision != "float32" else set())
    assert {name for name in special if operations[name]} == quick_ones
    assert plain_operations["Conv2DBackpropFilter"] > 2 * operations["Conv2DBackpropFilter"]


@pytest.mark.usefixtures("everywhere")
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.05)])
def test_inference_is_the_same_by_either(precision: str, tolerance: float) -> None:
    model = small.network(GRAPH, execution=PLAIN)
    features = small.clips(size=32, streams=model.streams)
    expected = small.logits(model, features)
    for cpu_kernels in (False, True):
        network = folded(model, precision, Execution("inference", cpu_kernels=cpu_kernels))
        difference = np.abs(small.logits(network, features) - expected).max()
        assert difference < tolerance * np.abs(expected).max()


def is_plain(execution: Execution) -> bool:
    """Whether it differs from TensorFlow's operations at most in what this machine can differentiate."""
    return dataclasses.replace(execution, differentiable_dilation=()) == PLAIN


def test_what_the_settings_choose() -> None:
    """On this machine, which has no accelerator."""
    usual, plain = small.spec(), small.spec(plain_tensorflow=True)
    assert training_execution(usual, "norms").recomputes == "norms"
    assert training_execution(usual).cpu_kernels
    assert training_execution(usual).compiles_flow
    assert not training_execution(small.spec(flow_compiled=False)).compiles_flow
    assert inference_execution(usual, compiles_flow=True).compiles_flow
    assert not inference_execution(usual).compiles_flow
    assert is_plain(training_execution(plain))
    assert inference_execution(plain, compiles_flow=True) == Execution("inference")
    assert is_plain(small.network(small.architecture(), plain_tensorflow=True).execution)


def test_an_accelerator_takes_plain_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    assert not training_execution(small.spec()).cpu_kernels
    assert not inference_execution(small.spec()).cpu_kernels


@pytest.mark.parametrize("wrong", [{"target": "gpu"}, {"recomputes": "some"}])
def test_an_unknown_value_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"Received: '(gpu|some)'"):
        Execution(**wrong)
