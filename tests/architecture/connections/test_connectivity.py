"""Learned strengths and peers of a network, against arithmetic by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.architecture.connections.connectivity import (
    Learned,
    PeerChoice,
    connection_strengths,
)
from official_vision.architecture.graph import Architecture, ArchitectureError, Block, Stem

GRAPH = Architecture(
    "tiny",
    (
        Stem("rgb", 8),
        Stem("flow", 8),
        Block(1, (0, 1), 4, 1, 2),
        Block(2, (0, 1, 2), 8, 1, 2, strengths=(0.1, 0.2, 0.3)),
    ),
    provenance={"made": "by hand"},
)
LEARNED = Learned(
    GRAPH,
    {2: (0.9, 0.2), 3: (0.6, 0.1, 0.8)},
    {2: ((0.25, 0.75), (0.5, 0.5)), 3: ((0.2, 0.2, 0.6), (0.5, 0.3, 0.2), (0.1, 0.8, 0.1))},
    {"checkpoint": "run/ckpt-7", "step": 7},
)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=20))
def test_the_entropy_lies_between_decided_and_even(weights):
    row = tuple(weight / sum(weights) for weight in weights)
    choice = PeerChoice(tuple(range(10, 10 + len(row))), row)
    assert -1e-9 <= choice.entropy_bits <= math.log2(len(row)) + 1e-9
    assert row[choice.likeliest - 10] == choice.probability == max(row)


@pytest.mark.parametrize(
    ("row", "bits", "share"),
    [
        ((1.0,), 0, None),
        ((0.0, 1.0, 0.0), 0, 0),
        ((0.25,) * 4, 2, 1),
        ((0.5, 0.25, 0.125, 0.125), 1.75, 0.875),
    ],
)
def test_entropies_by_hand(row, bits, share):
    choice = PeerChoice(tuple(range(len(row))), row)
    assert (choice.entropy_bits, choice.entropy_share) == (bits, share)


def test_the_likeliest_of_equals_is_the_one_that_derive_takes():
    assert LEARNED.likeliest_peers() == {2: (1, 0), 3: (2, 0, 1)}
    derived = LEARNED.derive(0).architecture
    assert [node.peers for node in derived.nodes[2:]] == [(1, 0), (2, 0, 1)]
    assert [node.strengths for node in derived.nodes[2:]] == [(0.9, 0.2), (0.6, 0.1, 0.8)]


def test_derive_prunes_and_remembers_where_it_comes_from():
    derived = LEARNED.derive(0.5).architecture
    assert derived.nodes[2:] == (
        Block(1, (0,), 4, 1, 2, peers=(1,)),
        Block(2, (0, 2), 8, 1, 2, strengths=(0.6, 0.8), peers=(2, 1)),
    )
    assert derived.provenance["made"] == "by hand"
    assert derived.provenance["learned"] == {"checkpoint": "run/ckpt-7", "step": 7}
    assert derived.provenance["derived"]["threshold"] == 0.5
    with pytest.raises(ArchitectureError, match="threshold"):
        LEARNED.derive(1.5)


def test_learned_strengths_win_over_the_graphs():
    rows = list(connection_strengths(GRAPH, {2: (0.9, 0.2)}))
    assert rows == [(0, 2, 0.9), (1, 2, 0.2), (0, 3, 0.1), (1, 3, 0.2), (2, 3, 0.3)]
    assert [s for _, index, s in connection_strengths(GRAPH, {}) if index == 2] == [None, None]
