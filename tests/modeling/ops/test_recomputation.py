"""Convolutions with custom gradients, and recomputed norms: values, memory and the choice of layers."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.execution import Execution, training_execution
from official_vision.modeling.ops.convolution import (
    TemporalConvolution,
    batch_norm,
    spatial_convolution,
)
from official_vision.modeling.ops.recomputation import can_recompute, convolved
from tests.modeling import small

CPU = Execution(cpu_kernels=True)
HALVES = Execution(cpu_kernels=True, one_thread_per_operation=True)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (spatial_convolution(512, 1, execution=CPU), (2, 3, 2, 512)),
        (spatial_convolution(512, 3, execution=CPU), (2, 3, 2, 512)),
        (TemporalConvolution(512, 3, execution=CPU), (1, 4, 3, 512)),
        (TemporalConvolution(4, 5, 4, execution=CPU), (2, 16, 3, 6)),
    ],
    ids=["1x1", "3x3", "temporal", "far in time"],
)
def test_a_wide_convolution_trains_as_the_layer_does(layer, shape):
    x = tf.random.stateless_normal(shape, [1, 2])
    layer(x)

    def gradients(call):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call()
            loss = tf.reduce_sum(tf.sin(y))
        return y, *tape.gradient(loss, (x, layer.kernel))

    actual = gradients(lambda: convolved(layer, x, training=True))
    for gradient, expected in zip(actual, gradients(lambda: differentiable(layer, x)), strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(gradient / scale, expected / scale, atol=1e-5)


def differentiable(layer, x):
    """The layer by operations that have gradients on every machine."""
    if isinstance(layer, TemporalConvolution):
        return layer.undilated_op(x, layer.kernel)
    return layer(x)


@pytest.mark.parametrize(
    ("layer", "shape", "halved"),
    [
        (spatial_convolution(512, 3, execution=HALVES), (4, 4, 4, 512), True),
        (spatial_convolution(512, 1, 2, execution=HALVES), (2, 7, 8, 640), True),
        (TemporalConvolution(512, 3, 2, execution=HALVES), (2, 5, 16, 64), True),
        # Rows that can't be halved, and level 3's pixels.
        (spatial_convolution(512, 3, execution=HALVES), (3, 4, 4, 512), False),
        (spatial_convolution(512, 1, execution=HALVES), (4, 7, 7, 512), False),
        (spatial_convolution(520, 3, execution=HALVES), (2, 4, 4, 510), True),
        (spatial_convolution(512, 3, execution=CPU), (4, 4, 4, 512), False),
    ],
)
def test_the_last_level_in_halves_trains_as_the_layer_does(layer, shape, halved):
    """With one thread per operation, two cores take half of the rows each."""
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    layer(x)
    results = []
    for convolve in (
        lambda x: differentiable(layer, x),
        lambda x: convolved(layer, x, training=True),
    ):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = convolve(x)
            loss = tf.reduce_sum(y**2)
        results.append([y, *tape.gradient(loss, [x, layer.kernel])])
    for whole, other in zip(*results, strict=True):
        scale = np.abs(whole).max()
        np.testing.assert_allclose(other, whole, rtol=1e-4, atol=1e-4 * scale)
    traced = tf.function(lambda x: convolved(layer, x, training=True)).get_concrete_function(x)
    assert ("Split" in {operation.type for operation in traced.graph.get_operations()}) is halved


def graph_of(what, trainable=True):
    """Names of the operations of a training step's gradients."""
    execution = training_execution(small.spec(plain_tensorflow=True), what)
    model = small.network(small.architecture(), execution=execution)
    for block in model.blocks().values():
        for module in block.modules:
            module.middle_norm.trainable = trainable
    features = small.clips()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model(features, training=True)["logits"])
        return tape.gradient(loss, model.trainable_variables)

    graph = step.get_concrete_function().graph
    return [operation.type for operation in graph.get_operations()]


def norms_in(operations: list[str]) -> int:
    return sum(operation in ("FusedBatchNorm", "FusedBatchNormV3") for operation in operations)


OF_STEMS = 2 + 1  # of rgb, with a convolution over time, and of flow


def test_norms_of_stems_and_two_of_a_module_are_computed_again():
    """And convolutions: a module's last one and a block's projection."""
    blocks, modules = 4, 4 * 2
    stored, again = (graph_of(what) for what in ("nothing", "norms"))
    assert norms_in(again) == norms_in(stored) + 2 * modules + OF_STEMS
    assert again.count("Conv2D") == stored.count("Conv2D") + modules + blocks


def test_a_frozen_norm_is_left_as_it_is():
    stored = graph_of("nothing", trainable=False)
    again = graph_of("norms", trainable=False)
    assert norms_in(again) == norms_in(stored) + OF_STEMS


def test_norms_of_one_device_in_training_can_be_computed_again():
    norm = batch_norm()
    norm.build([None, None, None, 3])
    assert can_recompute(norm, training=True)
    assert not can_recompute(norm, training=False)
    assert not can_recompute(norm, training=None)
    norm.trainable = False
    assert not can_recompute(norm, training=True)
