"""A third kind of block, made by the steps of CONTRIBUTING.md and by nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.block_kinds import (
    BLOCK_KINDS,
    BlockKind,
    BlockShape,
    Channels,
)
from official_vision.architecture.formats import from_json, to_json
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.layer_plans import ConvolutionPlan, ModulePlan
from official_vision.architecture.refusal import ArchitectureError, fail, is_count
from official_vision.modeling import block as block_module
from official_vision.modeling.execution import Execution
from official_vision.modeling.ops.convolution import batch_norm, spatial_convolution
from official_vision.modeling.ops.elementwise import norm_relu
from official_vision.modeling.ops.layer import build_path
from official_vision.modeling.residual import ResidualModule
from official_vision.specs import ModelSpec
from tests.architecture.cost.test_network_cost import assert_exact
from tests.modeling import small, twins


class BasicKind(BlockKind):
    """Two 3x3 convolutions and a 1x1, to twice the channels; near ResNet-18's (arXiv 1512.03385)."""

    def check(self, index: int, channels: Any) -> None:
        if not is_count(channels):
            fail("A basic block's channels are one whole number.", channels, "Mend it.", index)

    def output_channels(self, channels: Channels) -> int:
        return 2 * channels

    def convolutions(
        self, block: BlockShape, position: int, input_channels: int
    ) -> tuple[ConvolutionPlan, ...]:
        width = block.channels
        return (
            ConvolutionPlan(input_channels, width, 3, stride=1 if position else block.stride),
            ConvolutionPlan(width, width, 3),
            ConvolutionPlan(width, 2 * width, activates=False),
        )


class BasicModule(ResidualModule):
    def __init__(self, channels: int, stride: int, projects: bool, padding: str, **kwargs):
        super().__init__(2 * channels, stride, projects, **kwargs)
        self.first = spatial_convolution(channels, 3, stride, "first", padding)
        self.first_norm = batch_norm(name="first_norm")
        self.middle = spatial_convolution(channels, 3, name="middle")
        self.middle_norm = batch_norm(name="middle_norm")

    def _build_inner(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return build_path(input_shape, self.first, self.first_norm, self.middle, self.middle_norm)

    def _inner(self, x: tf.Tensor, frames: int | tf.Tensor, training: bool | None) -> tf.Tensor:
        del frames
        y = norm_relu(self.first(x), self.first_norm, training)
        return norm_relu(self.middle(y), self.middle_norm, training)


def make_basic(
    plan: ModulePlan, architecture: Architecture, execution: Execution, name: str
) -> BasicModule:
    width, padding = plan.convolutions[0].outputs, architecture.convolution_padding
    return BasicModule(width, plan.stride, plan.projects, padding, execution=execution, name=name)


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Architecture:
    monkeypatch.setitem(BLOCK_KINDS, "basic", BasicKind())
    monkeypatch.setitem(block_module._LAYERS, "basic", make_basic)
    nodes = (Stem("rgb", 4), Stem("object", 5), Block(1, (0,), 3), Block(2, (1, 2), 5, 1, 2))
    return Architecture("third", nodes, depth=26, block_kind="basic", width_multiplier=2.0)


def test_its_cost_is_tensorflows_count(graph: Architecture) -> None:
    assert_exact(graph, ModelSpec(gate="self", num_classes=7, num_object_classes=5))


def test_its_numbers_are_those_of_numpy(graph: Architecture) -> None:
    model = small.network(graph)
    module = model.blocks()[3].modules[0]
    twins.randomise(module)
    x = twins.maps(4, 6, 6, 12)
    y = x.astype(np.float64)
    for name, stride in (("first", 2), ("middle", 1)):
        y = twins.convolution(y, twins.value(getattr(module, name).kernel), stride)
        y = twins.relu(twins.batch_norm(y, getattr(module, f"{name}_norm"), training=False))
    y = twins.batch_norm(
        twins.convolution(y, twins.value(module.last.kernel)), module.last_norm, False
    )
    shortcut = twins.convolution(x, twins.value(module.projection.kernel), 2)
    y = twins.relu(y + twins.batch_norm(shortcut, module.projection_norm, False))
    np.testing.assert_allclose(module(x, 2, training=False), y, atol=1e-4)


def test_its_files_and_errors_follow_by_themselves(graph: Architecture) -> None:
    assert from_json(to_json(graph)) == graph
    assert graph.warnings() == ()
    with pytest.raises(ArchitectureError, match="Node 1: A basic block's channels"):
        Architecture("wrong", (Stem("rgb", 4), Block(1, (0,), (1, 2, 3))), 26, "basic")
