"""A block is its gates, its fusion and its modules, one after the other (A.1, A.2)."""

from __future__ import annotations

import numpy as np
import pytest

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.plan import make_plan
from official_vision.modeling.block import ConvolutionalBlock, make_block
from official_vision.modeling.gates import ChannelGate, PeerAttentionGate, StaticGate
from official_vision.modeling.inverted import InvertedBottleneck
from official_vision.modeling.residual import ResidualModule2D, ResidualModule2Plus1D
from tests.modeling import small, twins
from tests.modeling.test_fusion import twin as fusion_twin
from tests.modeling.test_gates import peer_twin
from tests.modeling.test_residual import twin as module_twin

FRAMES = 4


def made(graph: Architecture, index: int, gate: str = "peer") -> ConvolutionalBlock:
    plan = make_plan(graph, small.OBJECTS)
    widths = {node.index: node.output_channels for node in plan}
    return make_block(gate, graph.nodes[index], plan[index], widths, graph, "block")


def test_a_whole_block_against_numpy() -> None:
    block = made(small.architecture(), 4)
    inputs = [twins.maps(FRAMES, 4, 4, width, seed=width) for width in (4, 7, 8)]
    averages = [twins.maps(FRAMES, width, seed=i) for i, width in enumerate((4, 3, 7, 8))]
    sources = [averages] * 3
    block(inputs, sources, FRAMES)
    twins.randomise(block)
    gates = [gate(averages) for gate in block.gates]
    for gate, opening in zip(block.gates, gates, strict=True):
        np.testing.assert_allclose(opening, peer_twin(gate, averages), atol=1e-5)
    expected = fusion_twin(block.fusion, inputs, gates)
    for module in block.modules:
        expected = module_twin(module, expected, FRAMES, training=False)
    assert expected.shape == (FRAMES, 2, 2, 12)
    actual = block(inputs, sources, FRAMES, training=False)
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


def test_modules_alternate_and_only_the_first_strides_and_projects() -> None:
    graph = small.architecture().with_settings(50, 1.0)
    modules = made(graph, 5).modules  # level 3: six of them, dilation 4, stride 2
    assert [type(module) for module in modules] == [ResidualModule2D, ResidualModule2Plus1D] * 3
    assert [module.stride for module in modules] == [2, 1, 1, 1, 1, 1]
    assert [module.projects for module in modules] == [True] + [False] * 5
    assert {module.temporal_dilation for module in modules[1::2]} == {4}
    assert {(module.channels, module.middle_channels) for module in modules} == {(3, 256)}


def test_lite_modules() -> None:
    stems = (Stem("rgb", 4, 1, 2), Stem("flow", 3, 1, 2))
    block = Block(1, (0, 1), (4, 5, 6), 3, 2)
    modules = made(Architecture("lite", (*stems, block), 26, "inverted_bottleneck"), 2).modules
    assert all(isinstance(module, InvertedBottleneck) for module in modules)
    assert [module.stride for module in modules] == [2, 1]
    assert [module.projects for module in modules] == [True, False]
    assert {(module.channels, module.temporal_dilation) for module in modules} == {((4, 5, 6), 3)}


@pytest.mark.parametrize(
    ("gate", "peers", "kind"),
    [
        ("static", False, StaticGate),
        ("self", False, ChannelGate),
        ("peer", True, ChannelGate),
        ("peer", False, PeerAttentionGate),
    ],
)
def test_gates_by_mode(gate: str, peers: bool, kind: type) -> None:
    graph = small.architecture(peers)
    for index, widths in ((4, [4, 7, 8]), (6, [12])):
        gates = made(graph, index, gate).gates
        assert {type(layer) for layer in gates} == {kind}
        assert [layer.channels for layer in gates] == widths
    if kind is PeerAttentionGate:
        assert made(graph, 4, gate).gates[0].candidate_channels == (4, 3, 7, 8)


def test_no_gates_without_gating() -> None:
    for index in (4, 6):
        assert list(made(small.architecture(), index, "none").gates) == []
