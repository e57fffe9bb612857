"""The over-connected graph: by hand, by the rules of graphs, and from files of candidates."""

import json

import pytest
from hypothesis import given

from official_vision.architecture.graph import Architecture, ArchitectureError, Block, Stem
from official_vision.architecture.zoo import ZOO, assemblenet_plus_plus_50
from official_vision.errors import UserError
from official_vision.search.space import one_shot_space
from tests.architecture.strategies import architectures

HAND = Architecture(
    "hand",
    (
        Stem("rgb", 4),
        Stem("flow", 4),
        Block(1, (0,), 4),
        Block(2, (1,), 8, 1, 2),
        Block(2, (1,), 8, 4, 2, None, (0,)),
        Block(3, (2, 3, 4), 8, 1, 2, (0.2, 0.3, 0.4)),
    ),
)


def inputs(graph):
    return {i: node.inputs for i, node in enumerate(graph.nodes) if node.inputs}


def test_every_earlier_node_by_hand():
    space = one_shot_space(HAND)
    assert inputs(space) == {
        2: (0, 1),
        3: (0, 1, 2),
        4: (0, 1, 2, 3),
        5: (0, 1, 2, 3, 4),
    }
    # Node 4 reads node 3, which is as coarse as its output: nothing is left of its stride.
    assert [node.spatial_stride for node in space.nodes[2:]] == [1, 2, 1, 2]
    assert all(node.strengths is None and node.peers is None for node in space.nodes[2:])
    assert space.provenance["space"] == {
        "from": "hand",
        "candidates": "all",
        "connections": 14,
        "graph_connections": 6,
    }


def test_nodes_of_lower_levels_by_hand():
    assert inputs(one_shot_space(HAND, "lower"))[4] == (0, 1, 2)
    assert inputs(one_shot_space(HAND, "own")) == inputs(HAND)


def test_an_input_coarser_than_the_block_cannot_be_one():
    nodes = (
        Stem("rgb", 4),
        Block(2, (0,), 4, 1, 4),
        Block(2, (0,), 4, 1, 2),
        Block(3, (1, 2), 4, 1, 2),
    )
    space = one_shot_space(Architecture("coarse", nodes))
    assert space.nodes[2].inputs == (0,)


@given(architectures())
def test_any_graph_has_a_space_that_contains_it(graph):
    for candidates in ("all", "lower", "own"):
        space = one_shot_space(graph, candidates)
        assert set(graph.connections()) <= set(space.connections())
        assert space.strides() == graph.strides()
        again = one_shot_space(space, candidates)
        assert again.nodes == space.nodes
    for source, consumer in space.connections():
        assert graph.nodes[source].level <= graph.nodes[consumer].level


@pytest.mark.parametrize("name", ZOO)
def test_table_1_and_its_like_have_all_that_their_levels_allow(name):
    graph = ZOO[name]()
    space, strides = one_shot_space(graph), graph.strides()
    for consumer, node in enumerate(graph.nodes):
        expected = [
            j
            for j in range(consumer if node.level else 0)
            if graph.nodes[j].level <= node.level and strides[consumer] % strides[j] == 0
        ]
        assert list(space.nodes[consumer].inputs) == expected


def write(path, value):
    path.write_text(json.dumps(value))
    return f"file:{path}"


def test_a_file_names_the_candidates_of_some_blocks(tmp_path):
    space = one_shot_space(HAND, write(tmp_path / "c.json", {"4": [0, 2, 3], "2": [1]}))
    assert inputs(space) == {2: (1,), 3: (1,), 4: (0, 2, 3), 5: (2, 3, 4)}
    assert space.nodes[4].spatial_stride == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([1, 2], "[1, 2]"),
        ({"0": [1]}, "{'0': [1]}"),
        ({"nine": [1]}, "'nine'"),
        ({"99": [1]}, "'99'"),
        ({"5": 4}, "{'5': 4}"),
        ({"5": [1.5]}, "[1.5]"),
        ({"5": []}, "needs a tuple of input nodes"),
        ({"5": [2, 9]}, "Inputs are earlier nodes"),
        ({"5": [2, 2]}, "names each input once"),
        ({"3": [0], "4": [0]}, "Every node must lead to a block of the highest level"),
    ],
)
def test_a_wrong_file_is_reported_in_one_line(tmp_path, value, words):
    with pytest.raises(UserError) as raised:
        one_shot_space(HAND, write(tmp_path / "c.json", value))
    assert words in str(raised.value)
    assert "Received:" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_candidates_coarser_than_the_block_are_refused(tmp_path):
    graph = assemblenet_plus_plus_50()
    strided = write(tmp_path / "c.json", {"6": [0, 5]})
    assert one_shot_space(graph, strided).nodes[6].inputs == (0, 5)
    nodes = (
        Stem("rgb", 4),
        Block(1, (0,), 4, 1, 2),
        Block(1, (0,), 4),
        Block(2, (1, 2), 4, 1, 2),
    )
    with pytest.raises(ArchitectureError, match=r"divide the block's, 4. Received: \{1: 8\}"):
        one_shot_space(Architecture("two", nodes), write(tmp_path / "d.json", {"2": [0, 1]}))


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read. Received: .*none\.json"):
        one_shot_space(HAND, f"file:{tmp_path}/none.json")
