"""Mutated graphs are valid networks, and guided ones lose weak connections rather than strong."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError
from official_vision.search.evolution.mutation import mutate

SEED = Architecture(
    "seed",
    (
        Stem("rgb", 64),
        Stem("flow", 64),
        Block(1, (0, 1), 64),
        Block(1, (1,), 64, 2),
        Block(2, (2, 3), 128, 1, 2),
        Block(2, (0, 3), 128, 4, 2),
        Block(3, (4, 5), 512, 1, 2),
        Block(4, (2, 5, 6), 512, 2, 2),
    ),
)
PEERED = Architecture(
    "peered",
    tuple(
        n
        if isinstance(n, Stem)
        else Block(
            n.level,
            n.inputs,
            n.channels,
            n.temporal_dilation,
            n.spatial_stride,
            peers=tuple(i % 2 for i in n.inputs),
        )
        for n in SEED.nodes
    ),
)


TWO_OUTPUTS = Architecture("two_outputs", (*SEED.nodes, Block(4, (4, 6), 512, 1, 2)))


def _sums(graph: Architecture) -> Counter:
    sums = Counter()
    for node in graph.nodes:
        sums[node.level] += node.channels
    return sums


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([SEED, PEERED, TWO_OUTPUTS]))
def test_descendants_stay_networks_of_the_same_channel_sums(seed, guided, graph):
    generator = np.random.default_rng(seed)
    sums, outputs = _sums(graph), [graph.nodes[index].channels for index in graph.outputs]
    for number in range(6):
        drawn = {
            i: tuple(generator.uniform(size=len(n.inputs)))
            for i, n in enumerate(graph.nodes)
            if n.inputs
        }
        child = mutate(graph, generator, drawn, guided, f"child{number}")
        assert child.architecture.nodes != graph.nodes
        assert _sums(child.architecture) == sums
        # As many outputs of the same channels: the classifier's weights can be inherited.
        new = child.architecture
        assert [new.nodes[index].channels for index in new.outputs] == outputs
        assert len(child.architecture.live_nodes(gated_by_peers=False)) == len(
            child.architecture.nodes
        )
        assert all(len(set(n.inputs)) == len(n.inputs) for n in child.architecture.nodes)
        for index, node in enumerate(child.architecture.nodes):
            assert graph.nodes[child.origin[index]].level == node.level
        graph = child.architecture


def test_equal_chance_gives_equal_children():
    children = [mutate(SEED, np.random.default_rng(5), {}, True, "a") for _ in range(2)]
    assert children[0] == children[1]


def _dropped(guided: bool) -> Counter:
    strengths = {
        7: (0.02, 0.98, 0.98),
        2: (0.98, 0.98),
        4: (0.98, 0.98),
        5: (0.98, 0.98),
        6: (0.98, 0.98),
    }
    generator, lost = np.random.default_rng(0), Counter()
    for _ in range(1500):
        words = mutate(SEED, generator, strengths, guided, "c").words
        lost.update(tuple(link) for link in words.get("dropped", ()))
    return lost


@pytest.mark.slow
def test_the_weak_connection_goes_when_guided_and_is_one_of_many_when_not():
    guided, plain = _dropped(True), _dropped(False)
    others = {tuple(c) for c in SEED.connections()} - {(2, 7)}
    assert guided[2, 7] > 3 * max(guided[c] for c in others - {(1, 3)})
    assert plain[2, 7] < 2 * max(plain[c] for c in others)
    # As many go, whichever.
    assert sum(plain.values()) == pytest.approx(sum(guided.values()), rel=0.25)


def test_every_kind_of_change_happens():
    kinds = {
        mutate(PEERED, np.random.default_rng(s), {}, True, "c").words["kind"] for s in range(80)
    }
    assert kinds == {"split", "merge", "dilation", "connections", "peer"}


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_changes_of_connections_have_the_share_that_is_set(share):
    kinds = Counter(
        mutate(SEED, np.random.default_rng(s), {}, True, "c", share).words["kind"]
        for s in range(400)
    )
    # Four standard deviations of a binomial draw.
    assert kinds["connections"] / 400 == pytest.approx(share, abs=0.09)


def test_strengths_of_another_graph_are_refused():
    with pytest.raises(UserError, match="node 7"):
        mutate(SEED, np.random.default_rng(0), {7: (0.5,)}, True, "c")
