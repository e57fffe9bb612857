"""A one-shot network made discrete computes the same (supplement A.2)."""

from __future__ import annotations

import numpy as np
import pytest

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError
from official_vision.modeling.gates import ChannelGate, PeerAttentionGate
from official_vision.modeling.inference.discretise import (
    learned_strengths,
    peer_distributions,
    to_discrete,
)
from official_vision.modeling.network import AssembleNet
from tests.modeling import small


def decide(model: AssembleNet, seed: int = 0) -> dict[int, list[int]]:
    """Puts each softmax at one peer; returns the positions among the candidates, by node."""
    random = np.random.default_rng(seed)
    chosen = {}
    for index, block in model.blocks().items():
        chosen[index] = []
        for gate in block.gates:
            count = len(gate.candidate_channels)
            position = int(random.integers(count))
            gate.peer_logits.assign(200.0 * np.eye(count)[position])
            chosen[index].append(position)
    return chosen


def close(model: AssembleNet, weak: dict[int, list[int]]) -> None:
    """Closes connections: strengths of 1e-30 at these positions, by node."""
    for index, positions in weak.items():
        logits = model.blocks()[index].fusion.strength_logits
        values = logits.numpy()
        values[positions] = -80.0
        logits.assign(values)


def assert_same_logits(first: AssembleNet, second: AssembleNet, atol: float = 1e-5) -> None:
    features = small.clips()
    expected = small.logits(first, features)
    assert np.ptp(expected) > 0.5  # the networks carry signal
    np.testing.assert_allclose(small.logits(second, features), expected, atol=atol)


@pytest.mark.parametrize("seed", [0, 1])
def test_small_network_made_discrete_computes_the_same(seed: int) -> None:
    model = small.network(small.architecture(), seed)
    chosen = decide(model, seed)
    discrete = to_discrete(model)
    assert_same_logits(model, discrete)
    for index, positions in chosen.items():
        candidates = model.plan[index].candidates
        assert discrete.architecture.nodes[index].peers == tuple(candidates[p] for p in positions)
        assert all(isinstance(gate, ChannelGate) for gate in discrete.blocks()[index].gates)
    assert discrete.count_params() < model.count_params()


@pytest.mark.slow
def test_table_1_made_discrete_computes_the_same() -> None:
    model = small.network()
    decide(model)
    assert_same_logits(model, to_discrete(model))


def test_lite_blocks_and_head_are_carried_over() -> None:
    blocks = (
        Block(1, (0, 1), (4, 4, 4), 1, 2),
        Block(2, (0, 1, 2), (5, 5, 6), 2, 2),
    )
    graph = Architecture(
        "lite", (Stem("rgb", 4, 1, 2), Stem("flow", 3, 1, 2), *blocks), 26, "inverted_bottleneck"
    )
    model = small.network(graph)
    decide(model)
    features = small.clips(streams=("rgb", "flow"))
    expected = small.logits(model, features)
    np.testing.assert_allclose(small.logits(to_discrete(model), features), expected, atol=1e-5)


def test_a_block_left_with_one_input_computes_what_closed_connections_do() -> None:
    """Its strength and 1x1 convolution move into the first module; both widths of input."""
    for remaining, closed in ((0, [1, 2]), (1, [0, 2]), (2, [0, 1])):
        model = small.network(small.architecture())
        # Peers of node 4 must stay where pruning leaves them.
        decide(model)
        close(model, {4: closed})
        discrete = to_discrete(model, threshold=1e-3)
        blocks = [node for node in discrete.architecture.nodes if isinstance(node, Block)]
        block = next(node for node in blocks if node.level == 2)
        assert len(block.inputs) == 1, remaining
        assert_same_logits(model, discrete)


def test_equally_wide_groups_stay_exact_when_connections_go() -> None:
    model = small.network(small.architecture())
    decide(model)
    close(model, {4: [1]})
    discrete = to_discrete(model, threshold=1e-3)
    assert_same_logits(model, discrete)


def test_where_the_widest_input_goes_the_narrower_target_is_the_nearest() -> None:
    """One width left of two: its convolution moves into the module and nothing is lost."""
    stems = (Stem("rgb", 4), Stem("rgb", 4, 2), Stem("rgb", 6, 1), Stem("flow", 3))
    blocks = (Block(1, (0, 1, 2), 2), Block(2, (3, 4), 3))
    model = small.network(Architecture("narrowed", stems + blocks, 26))
    decide(model)
    close(model, {4: [2]})
    for block in model.blocks().values():  # so that the pruned stem is no one's peer
        for gate in block.gates:
            gate.peer_logits.assign(200.0 * np.eye(len(gate.candidate_channels))[0])
    discrete = to_discrete(model, threshold=1e-3)
    fusion = discrete.blocks()[discrete.architecture.outputs[0] - 1].fusion
    assert (fusion.target_channels, fusion.input_channels) == (4, (4, 4))
    features = small.clips(streams=("rgb", "flow"))
    expected = small.logits(model, features)
    np.testing.assert_allclose(small.logits(discrete, features), expected, atol=1e-5)


@pytest.mark.parametrize("gate", ["none", "static", "self"])
def test_other_gates_are_carried_over(gate: str) -> None:
    model = small.network(small.architecture(), gate=gate)
    assert_same_logits(model, to_discrete(model))
    close(model, {5: [0]})
    assert_same_logits(model, to_discrete(model, threshold=1e-3))


def test_named_peers_stay() -> None:
    model = small.network(small.architecture(peers=True))
    assert peer_distributions(model) == {}
    discrete = to_discrete(model)
    assert discrete.architecture.is_discrete()
    assert_same_logits(model, discrete)


def test_the_model_is_left_as_it_is() -> None:
    model = small.network(small.architecture())
    before = [weight.copy() for weight in model.get_weights()]
    discrete = to_discrete(model)
    for variable in discrete.variables:
        variable.assign(variable + 1)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_learned_numbers_are_read_by_node() -> None:
    model = small.network(small.architecture())
    strengths, peers = learned_strengths(model), peer_distributions(model)
    assert {index: len(row) for index, row in strengths.items()} == {3: 2, 4: 3, 5: 2}
    assert {index: [len(row) for row in rows] for index, rows in peers.items()} == {
        3: [3, 3],
        4: [4, 4, 4],
        5: [5, 5],
        6: [6],
    }
    for index, block in model.blocks().items():
        if index in strengths:
            values = block.fusion.strength_logits.numpy()
            np.testing.assert_allclose(strengths[index], 1 / (1 + np.exp(-values)), rtol=1e-5)
        for gate, row in zip(block.gates, peers[index], strict=True):
            assert isinstance(gate, PeerAttentionGate)
            powers = np.exp(gate.peer_logits.numpy())
            np.testing.assert_allclose(row, powers / powers.sum(), rtol=1e-5)


def test_a_threshold_beyond_1_is_refused() -> None:
    with pytest.raises(UserError, match="threshold"):
        to_discrete(small.network(small.architecture()), threshold=1.5)
