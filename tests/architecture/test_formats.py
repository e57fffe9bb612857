"""Architecture files and the authors' lists lose nothing, and say in a line what is wrong."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.architecture.formats import (
    from_dict,
    from_json,
    from_lists,
    read_architecture,
    save_architecture,
    to_json,
    to_lists,
)
from official_vision.architecture.graph import ArchitectureError, Block
from official_vision.architecture.zoo import ZOO
from tests.architecture.strategies import GARBAGE, architectures


@given(architectures())
def test_json_loses_nothing(graph):
    assert from_json(to_json(graph)) == graph


@given(architectures(has_peers=False))
def test_lists_lose_nothing(graph):
    structure, strengths = json.loads(json.dumps(to_lists(graph)))
    settings = {
        name: getattr(graph, name)
        for name in ("depth", "block_kind", "width_multiplier", "rgb_pool_size", "provenance")
    }
    assert from_lists(structure, strengths, name=graph.name, **settings) == graph


def test_lists_of_the_authors_network():
    """Levels count from 0 there, and stem widths follow from the number of stems."""
    graph = ZOO["assemblenet_plus_plus_50_authors"]()
    structure, strengths = to_lists(graph)
    assert structure[:6] == [
        [-1, 2],
        [-1, 4],
        [-2, 2],
        [-2, 1],
        [-3, 4],
        [0, [0, 1, 2, 3, 4], 32, 1, 1],
    ]
    assert structure[-1] == [3, [12, 13], 512, 2, 2]
    assert strengths[4] == []
    assert strengths[-1] == pytest.approx([0.41746235, 0.58448356])


def test_the_file_reads_well(tmp_path):
    path = tmp_path / "net.json"
    graph = ZOO["assemblenet_plus_plus_50"]()
    save_architecture(graph, path)
    lines = path.read_text().splitlines()
    assert len(lines) == len(graph.nodes) + 12
    assert any('"index": 14, "level": 4, "inputs": [4, 12, 13]' in line for line in lines)
    assert read_architecture(path) == graph


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "must be JSON"),
        ("[]", '"format"'),
        ("[" * 100_000, "must be JSON"),
        ('{"format": "official_vision.architecture", "version": 2}', "Version 1"),
        ('{"format": "official_vision.architecture", "version": 1}', '"nodes" must be a list'),
    ],
)
def test_what_is_no_architecture_file(tmp_path, text, words):
    path = tmp_path / "net.json"
    path.write_text(text)
    with pytest.raises(ArchitectureError, match=words) as caught:
        read_architecture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_that_is_not_text(tmp_path):
    with pytest.raises(ArchitectureError, match="must be readable"):
        read_architecture(tmp_path / "none.json")
    (tmp_path / "image.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ArchitectureError, match="must be readable"):
        read_architecture(tmp_path / "image.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"level": 9}, "Node 5: A block's level"),
        ({"chanels": 8}, "Did you mean 'channels'?"),
        ({"index": 4}, "Node 5: nodes are listed by index"),
    ],
)
def test_a_wrong_node_is_named(change, words):
    values = json.loads(to_json(ZOO["assemblenet_plus_plus_50"]()))
    values["nodes"][5] |= change
    with pytest.raises(ArchitectureError, match=words):
        from_json(json.dumps(values))


def test_a_missing_or_unknown_setting():
    values = json.loads(to_json(ZOO["assemblenet_plus_plus_50"]()))
    with pytest.raises(ArchitectureError, match=r"'dept'.*Did you mean 'depth'"):
        from_dict({**values, "dept": 50})
    del values["nodes"][5]["inputs"]
    with pytest.raises(ArchitectureError, match="Node 5: inputs must be given"):
        from_dict(values)
    values["nodes"][5] = "block"
    with pytest.raises(ArchitectureError, match="Node 5: a node is an object"):
        from_dict(values)


@given(architectures(), st.data())
def test_any_change_of_a_file_gives_a_network_or_one_line(graph, data):
    values = json.loads(to_json(graph))
    place = data.draw(st.sampled_from([values, *values["nodes"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(GARBAGE)
    try:
        changed = from_dict(values)
    except ArchitectureError as error:
        message = str(error)
    else:
        message = ""
        assert from_json(to_json(changed)) == changed
    assert len(message.splitlines()) <= 1


@given(st.lists(GARBAGE, max_size=3) | GARBAGE, st.lists(GARBAGE, max_size=3) | GARBAGE)
def test_lists_that_are_none(structure, strengths):
    with pytest.raises(ArchitectureError) as caught:
        from_lists(structure, strengths, name="tiny")
    assert len(str(caught.value).splitlines()) == 1


def test_lists_do_not_hold_peers():
    graph = ZOO["slowfast_50"]()
    nodes = [
        dataclasses.replace(n, peers=(0,) * len(n.inputs)) if isinstance(n, Block) else n
        for n in graph.nodes
    ]
    gated = dataclasses.replace(graph, nodes=tuple(nodes))
    assert to_lists(gated) == to_lists(graph)
