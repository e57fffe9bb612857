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
from official_vision.architecture.graph import ArchitectureError, Block, Stem
from official_vision.architecture.zoo import ZOO
from tests.architecture.strategies import GARBAGE, architectures


@given(architectures())
def test_json_loses_nothing(graph):
    assert from_json(to_json(graph)) == graph


def settings_of(graph):
    """All that lists don't hold, by name."""
    fields = {field.name for field in dataclasses.fields(graph)} - {"nodes"}
    return {name: getattr(graph, name) for name in fields}


@given(architectures(has_peers=False), st.booleans(), st.booleans())
def test_lists_lose_nothing(graph, rows_of_six, nested):
    written = to_lists(graph, rows_of_six=rows_of_six, nested=nested)
    structure, strengths = json.loads(json.dumps(written))
    read = from_lists(structure, strengths, **settings_of(graph))
    assert read == graph
    assert to_lists(read, rows_of_six=rows_of_six, nested=nested) == (structure, strengths)
    # As texts, and in a file.
    texts = json.dumps(structure), json.dumps(strengths)
    assert from_lists(*texts, **settings_of(graph)) == graph
    for lists in ((structure, strengths), texts):
        named = dict(zip(("structure", "strengths"), lists, strict=True))
        assert from_json(json.dumps({**named, **settings_of(graph)})) == graph
    blocks = [row for row in structure if row[0] >= 0]
    assert all(row[5:] == [0] * rows_of_six for row in blocks)
    inner = [row[0] if nested and row else row for row in strengths]
    assert inner == [list(getattr(node, "strengths", None) or ()) for node in graph.nodes]


# Rows as Model Garden's port has them, with two blocks of the highest level.
PORT_STRUCTURE = [
    [-1, 4],
    [-2, 1],
    [0, [0], 32, 4, 1, 0],
    [0, [0, 1], 32, 1, 1, 0],
    [3, [2, 3], 64, 2, 2, 0],
    [3, [0, 3], 64, 1, 2, 0],
]
PORT_STRENGTHS = [[], [], [], [[0.25, 0.75]], [[0.5, 0.125]], []]


def test_the_ports_rows_of_six_and_nested_strengths():
    graph = from_lists(PORT_STRUCTURE, PORT_STRENGTHS, name="port")
    assert graph.nodes == (
        Stem("rgb", 64, 4),
        Stem("flow", 64),
        Block(1, (0,), 32, 4),
        Block(1, (0, 1), 32, strengths=(0.25, 0.75)),
        Block(4, (2, 3), 64, 2, 2, strengths=(0.5, 0.125)),
        Block(4, (0, 3), 64, 1, 2),
    )
    assert graph.outputs == (4, 5)
    assert to_lists(graph, rows_of_six=True, nested=True) == (PORT_STRUCTURE, PORT_STRENGTHS)
    structure, strengths = to_lists(graph)
    assert structure[3] == [0, [0, 1], 32, 1, 1]
    assert strengths[3] == [0.25, 0.75]


def test_assemblenet_50_as_in_the_port():
    """Rows typed from there."""
    structure, strengths = to_lists(ZOO["assemblenet_50"](), rows_of_six=True, nested=True)
    assert structure[2:8] == [
        [-2, 1],
        [-2, 1],
        [0, [1], 32, 1, 1, 0],
        [0, [0], 32, 4, 1, 0],
        [0, [0, 1, 2, 3], 32, 1, 1, 0],
        [0, [2, 3], 32, 2, 1, 0],
    ]
    assert strengths[5] == []
    assert strengths[7] == [[pytest.approx(0.58461177), pytest.approx(0.60663348)]]


@pytest.mark.parametrize("sixth", [[1], [-1], [0, 0], [None], ["x" * 300]])
def test_an_unknown_sixth_number(sixth):
    structure = [*PORT_STRUCTURE[:3], [0, [0, 1], 32, 1, 1, *sixth], *PORT_STRUCTURE[4:]]
    with pytest.raises(ArchitectureError, match=r"Node 3: .*sixth.*unknown\. Received: ") as caught:
        from_lists(structure, PORT_STRENGTHS, name="port")
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["assemblenet_50", "assemblenet_101", "assemblenet_plus_plus_50_authors"]
)
@pytest.mark.parametrize("is_port", [False, True])
def test_published_networks_from_a_file_of_lists(tmp_path, name, is_port):
    """Values that the lists lack are as in the authors' networks: depth 50, an rgb pool of 3."""
    graph = ZOO[name]()
    structure, strengths = to_lists(graph, rows_of_six=is_port, nested=is_port)
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"structure": structure, "strengths": strengths}))
    read = read_architecture(path)
    expected = dataclasses.replace(graph, depth=50, provenance={})
    assert read == expected
    path.write_text(json.dumps(json.dumps(structure)))  # the structure alone, as the text of a text
    nodes = [
        dataclasses.replace(n, strengths=None) if isinstance(n, Block) else n for n in graph.nodes
    ]
    assert read_architecture(path) == dataclasses.replace(expected, nodes=nodes)


def test_lists_of_three_widths_are_inverted_bottlenecks():
    graph = ZOO["assemblenet_plus_plus_lite"]()
    structure, strengths = to_lists(graph, rows_of_six=True, nested=True)
    known = {k: v for k, v in settings_of(graph).items() if k not in ("name", "block_kind")}
    text = json.dumps({"structure": structure, "strengths": strengths, **known})
    assert from_json(text, "here/lite.json") == dataclasses.replace(graph, name="lite")


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
    assert len(lines) == len(graph.nodes) + 15
    assert any('"index": 14, "level": 4, "inputs": [4, 12, 13]' in line for line in lines)
    assert read_architecture(path) == graph


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "must be JSON"),
        ("5", '"format"'),
        ("[]", "needs nodes"),
        ('"[["', "must be JSON"),
        ('{"structure": [[-1, 4]], "dept": 50}', "Did you mean 'depth'"),
        ('{"structure": [[-1, 4], [0, [0], 8, 1, 1]], "strengths": [[0.5], []]}', "of a stem"),
        ('{"structure": [[-1, 4], [0, [0], 8, 1, 1]], "strengths": [[]]}', "as many rows"),
        ("[" * 100_000, "must be JSON"),
        (
            '{"format": "official_vision.architecture", "version": 1}',
            "Version 2 of the format is known. Received: 1",
        ),
        ('{"format": "official_vision.architecture", "version": 2}', '"nodes" must be a list'),
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
    with pytest.raises(ArchitectureError, match="Node 5: inputs must be set"):
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


@given(GARBAGE, st.sampled_from(range(len(PORT_STRUCTURE))), st.integers(0, 6), st.booleans())
def test_any_change_of_lists_gives_a_network_or_one_line(value, row, column, in_strengths):
    lists = json.loads(json.dumps([PORT_STRUCTURE, PORT_STRENGTHS]))
    lists[in_strengths][row][column : column + 1] = [value]
    try:
        graph = from_lists(*lists, name="port")
    except ArchitectureError as error:
        message = str(error)
    else:
        message = ""
        written = to_lists(graph, rows_of_six=True, nested=True)
        assert from_lists(*written, name="port") == graph
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


@pytest.mark.parametrize("name", ["convolution_padding", "stem_pool_padding", "downsampling"])
def test_an_unknown_choice_of_the_header_is_one_line(name):
    with pytest.raises(ArchitectureError, match=f"^The {name} must be a known one. Received: 'x'"):
        dataclasses.replace(ZOO["assemblenet_50"](), **{name: "x"})
