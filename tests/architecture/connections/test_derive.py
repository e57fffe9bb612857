"""From one-shot to discrete networks: what stays, what goes, and that it is a network again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.architecture.connections.derive import derive
from official_vision.architecture.graph import Architecture, ArchitectureError, Block, Stem
from official_vision.architecture.plan import make_plan
from official_vision.architecture.zoo import assemblenet_50, assemblenet_plus_plus_50
from tests.architecture.strategies import architectures, distributions

TINY = Architecture(
    "tiny",
    (
        Stem("rgb", 8),
        Stem("flow", 8),
        Stem("object", 151),
        Block(1, (0, 1), 4, 1, 2),
        Block(1, (1, 2), 4),
        Block(2, (0, 3, 4), 8, 1, 2),
    ),
)


def certain(graph, peer_of):
    """Distributions that put everything on one peer, 0 for blocks that are not named."""
    return {
        node.index: [
            [float(candidate == peer_of.get(node.index, 0)) for candidate in node.candidates]
            for _ in node.fusion.inputs
        ]
        for node in make_plan(graph)
        if node.fusion
    }


def test_a_small_network_by_hand():
    strengths = {3: [0.9, 0.6], 5: [0.1, 0.7, 0.2]}
    derivation = derive(TINY, strengths, certain(TINY, {5: 2}), threshold=0.5)
    # Block 5 keeps its middle input alone, so block 4 goes; objects stay as its peer.
    assert derivation.architecture.nodes == (
        Stem("rgb", 8),
        Stem("flow", 8),
        Stem("object", 151),
        Block(1, (0, 1), 4, 1, 2, strengths=(0.9, 0.6), peers=(0, 0)),
        Block(2, (3,), 8, 1, 2, peers=(2,)),
    )
    assert derivation.new_index == {0: 0, 1: 1, 2: 2, 3: 3, 5: 4}
    assert derivation.kept_inputs == {3: (0, 1), 5: (1,)}


def test_a_block_keeps_its_strongest_input_and_its_resolution():
    # Without block 3, block 5 would see twice the height and width: its stride makes up for it.
    strengths = {3: [0.1, 0.2], 5: [0.3, 0.1, 0.2]}
    derivation = derive(TINY, strengths, threshold=0.9)
    assert derivation.architecture.nodes == (Stem("rgb", 8), Block(2, (0,), 8, 1, 4))
    assert derivation.new_index == {0: 0, 5: 1}


def test_outputs_stay_however_weak():
    """Block 4 feeds block 5 weakly, and the classifier: its connection goes, the block itself stays."""
    nodes = (
        *TINY.nodes[:3],
        Block(1, (0, 1), 4),
        Block(2, (2, 3), 8, 1, 2),
        Block(2, (3, 4), 8),
    )
    graph = Architecture("two", nodes)
    derivation = derive(graph, {3: [0.9, 0.1], 4: [0.1, 0.9], 5: [0.9, 0.1]}, threshold=0.5)
    assert derivation.architecture.nodes == (
        Stem("rgb", 8),
        Block(1, (0,), 4),
        Block(2, (1,), 8, 1, 2),
        Block(2, (1,), 8, 1, 2),
    )
    assert derivation.new_index == {0: 0, 3: 1, 4: 2, 5: 3}
    assert derivation.architecture.outputs == (2, 3)


def test_a_peer_stays_with_all_that_feeds_it():
    """Block 4 feeds nothing any more, but gates: it stays, and so do the stems that it reads."""
    strengths = {5: [0.9, 0.1, 0.1]}
    derivation = derive(TINY, strengths, certain(TINY, {4: 1, 5: 4}), threshold=0.5)
    assert derivation.new_index == {0: 0, 1: 1, 2: 2, 4: 3, 5: 4}
    assert derivation.architecture.nodes[3:] == (
        Block(1, (1, 2), 4, peers=(1, 1)),
        Block(2, (0,), 8, 1, 4, peers=(3,)),
    )


def test_the_idle_block_of_table_1_goes_unless_it_is_chosen():
    graph = assemblenet_plus_plus_50()
    without = derive(graph, peer_distributions=certain(graph, {}))
    assert sorted(without.new_index) == [i for i in range(15) if i != 9]
    chosen = derive(graph, peer_distributions=certain(graph, {12: 9}))
    assert len(chosen.architecture.nodes) == 15
    assert chosen.architecture.nodes[12].peers == (9, 9)


def test_published_strengths_are_pruned_as_they_are():
    derivation = derive(assemblenet_50(), threshold=0.2)
    assert derivation.kept_inputs[6] == (1, 2, 3)
    assert derivation.kept_inputs[9] == (2, 3)
    assert derivation.architecture.provenance["derived"]["from"] == "assemblenet_50"
    assert derivation.architecture.nodes[6].peers is None


def test_saturated_strengths_stay_strengths():
    derivation = derive(TINY, {3: [0.0, 1.0], 5: [1.0, 1.0, 1.0]})
    assert derivation.architecture.nodes[3].strengths == pytest.approx((1e-6, 1 - 1e-6))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"threshold": float("nan")}, "threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"strengths": {3: [0.5]}}, "Node 3: a block takes 2 numbers"),
        ({"strengths": {5: [0.5, 0.5, float("nan")]}}, "Node 5: a block takes 3 numbers"),
        ({"peer_distributions": {3: [[1.0, 0, 0]]}}, "Node 3: a block takes 2 peer"),
        ({"peer_distributions": {4: [[1.0], [1.0]]}}, "Node 4: a block takes 3 numbers"),
    ],
)
def test_numbers_that_do_not_fit(arguments, words):
    with pytest.raises(ArchitectureError, match=words) as caught:
        derive(TINY, **arguments)
    assert "\n" not in str(caught.value)


def reachable(graph, start):
    """Nodes from which `start` can be reached, by plain recursion."""
    node = graph.nodes[start]
    reached = {start}
    for other in (*node.inputs, *(getattr(node, "peers", None) or ())):
        reached |= reachable(graph, other)
    return reached


@given(architectures(has_peers=False, largest=4), st.floats(0, 1), st.booleans(), st.data())
def test_what_is_derived_is_the_strong_part_of_the_network(graph, threshold, is_gated, data):
    plan = [node for node in make_plan(graph) if node.fusion]
    strengths = {
        node.index: [data.draw(st.floats(0, 1)) for _ in node.fusion.inputs] for node in plan
    }
    rows = {
        node.index: distributions(data.draw, len(node.fusion.inputs), len(node.candidates))
        for node in plan
    }
    derivation = derive(graph, strengths, rows if is_gated else None, threshold)
    derived, new = derivation.architecture, derivation.new_index

    # All outputs stay outputs, order and resolution are kept, and nothing useless is left.
    assert tuple(new[index] for index in graph.outputs) == derived.outputs
    assert list(new.values()) == sorted(new.values()) == list(range(len(derived.nodes)))
    feeding = set().union(*(reachable(derived, index) for index in derived.outputs))
    assert feeding == set(range(len(derived.nodes)))
    assert derived.is_discrete() is is_gated
    for old, index in new.items():
        assert derived.strides()[index] == graph.strides()[old]
        if old not in strengths:
            assert derived.nodes[index] == graph.nodes[old]

    old_of = {index: old for old, index in new.items()}
    for old, positions in derivation.kept_inputs.items():
        block, values = derived.nodes[new[old]], strengths[old]
        assert [old_of[i] for i in block.inputs] == [graph.nodes[old].inputs[p] for p in positions]
        strongest = max(values)
        for position, strength in enumerate(values):
            if position not in positions:
                assert strength < threshold
            elif strength < threshold:
                assert strength == strongest
                assert len(positions) == 1
        if is_gated:
            candidates = make_plan(graph)[old].candidates
            for peer, position in zip(block.peers, positions, strict=True):
                row = rows[old][position]
                assert row[candidates.index(old_of[peer])] == max(row)


@given(architectures(has_peers=True))
def test_nothing_to_derive(graph):
    """A discrete network without a threshold stays as it is, but for idle strengths and its name."""
    derivation = derive(graph)
    assert derivation.new_index == {index: index for index in range(len(graph.nodes))}
    for before, after in zip(graph.nodes, derivation.architecture.nodes, strict=True):
        assert before.inputs == after.inputs
        assert getattr(before, "peers", None) == getattr(after, "peers", None)
    again = derive(derivation.architecture).architecture
    assert again.nodes == derivation.architecture.nodes
