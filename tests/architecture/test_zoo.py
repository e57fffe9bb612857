"""The published networks, against the supplement's table and the sums that the papers state."""

import pathlib
import re

import pytest

from official_vision import config
from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.formats import save_architecture
from official_vision.architecture.graph import Block
from official_vision.architecture.zoo import ZOO, load_architecture
from official_vision.errors import UserError

MODELS = pathlib.Path(__file__).parents[2] / "gin_configs" / "models"

# Index, level, inputs, C, dilation, stride: typed from the supplement, independently of zoo.py.
TABLE_1 = """
0	0	RGB	32, 2, 4
1	0	RGB	32, 4, 4
2	0	Flow	32, 1, 4
3	0	Flow	32, 1, 4
4	0	Object	151, 1, 4
5	1	0, 1, 2, 3, 4	32, 1, 1
6	1	0, 1, 4	32, 4, 1
7	1	2, 3, 4	32, 8, 1
8	1	2, 3, 4	32, 1, 1
9	2	0, 1, 2, 4, 5, 6, 7, 8	64, 4, 2
10	2	2, 3, 4, 7, 8	64, 1, 2
11	2	0, 4, 5, 6, 7	128, 8, 2
12	3	4, 11	256, 8, 2
13	3	2, 3, 4, 5, 6, 7, 8, 10, 11	256, 4, 2
14	4	4, 12, 13	512, 2, 2
"""


def test_table_1():
    graph = ZOO["assemblenet_plus_plus_50"]()
    rows = []
    for index, node in enumerate(graph.nodes):
        inputs = ", ".join(map(str, node.inputs))
        if not isinstance(node, Block):
            inputs = {"rgb": "RGB", "flow": "Flow", "object": "Object"}[node.kind]
        numbers = f"{node.channels}, {node.temporal_dilation}, {node.spatial_stride}"
        rows.append(f"{index}\t{node.level}\t{inputs}\t{numbers}")
    assert "\n".join(rows) == TABLE_1.strip()
    assert (graph.depth, graph.rgb_pool_size, graph.width_multiplier) == (50, 2, 1.0)


def test_the_authors_variant_differs_as_recorded():
    ours, theirs = ZOO["assemblenet_plus_plus_50"](), ZOO["assemblenet_plus_plus_50_authors"]()
    assert [node.channels for node in theirs.nodes[:4]] == [128 // 5] * 4
    assert theirs.nodes[2].temporal_dilation == 2
    assert theirs.nodes[14].inputs == (12, 13)
    assert theirs.rgb_pool_size == 3
    for index in range(5, 14):
        assert ours.nodes[index].inputs == theirs.nodes[index].inputs
        assert ours.nodes[index].strengths is None
        assert len(theirs.nodes[index].strengths) == len(theirs.nodes[index].inputs)


@pytest.mark.parametrize(
    ("name", "connections", "streams"),
    [
        ("assemblenet_50", 30, ("rgb", "flow")),
        ("assemblenet_101", 30, ("rgb", "flow")),
        ("assemblenet_plus_plus_50_authors", 45, ("rgb", "flow", "objects")),
        ("assemblenet_plus_plus_lite", 44, ("rgb", "flow")),
        ("two_stream_r2plus1d_50", 8, ("rgb", "flow")),
        ("slowfast_50", 11, ("rgb",)),
    ],
)
def test_connections_and_streams(name, connections, streams):
    graph = ZOO[name]()
    assert graph.name == name
    assert len(list(graph.connections())) == connections
    assert graph.streams == streams


@pytest.mark.parametrize("name", ["assemblenet_50", "assemblenet_101"])
def test_published_strengths(name):
    nodes = ZOO[name]().nodes
    assert nodes[4].strengths is None  # a single input
    assert nodes[6].strengths[1] == pytest.approx(0.8465337, abs=1e-7)
    assert nodes[14].strengths == pytest.approx((0.98922044, 0.84546149), abs=1e-7)


def test_a_file_or_a_name(tmp_path):
    path = tmp_path / "mine.json"
    save_architecture(ZOO["slowfast_50"](), path)
    assert load_architecture(str(path)) == load_architecture("slowfast_50")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("asemblenet_50", "Did you mean 'assemblenet_50'?"),
        ("", "Known names: "),
        ("missing.json", "missing.json"),
    ],
)
def test_a_wrong_name(name, remedy):
    with pytest.raises(UserError, match=re.escape(remedy)):
        load_architecture(name)


def test_every_network_has_a_gin_file():
    assert {path.stem for path in MODELS.glob("*.gin")} == set(ZOO)


@pytest.mark.parametrize("name", ZOO)
def test_a_gin_file_loads_and_has_the_cost(name):
    file = MODELS / f"{name}.gin"
    spec = config.load([str(file)]).model
    assert spec.architecture == name
    assert spec.gate == ("peer" if "plus_plus" in name else "none")
    graph = load_architecture(spec.architecture)
    whole = estimate(graph, Setting(gate=spec.gate, frames=32, size=224, num_classes=157)).total
    match = re.search(r"Cost: +([\d.]+) M parameters, (\d+) GFLOPs for 32 frames", file.read_text())
    assert float(match[1]) == pytest.approx(whole.parameters / 1e6, abs=0.051)
    assert int(match[2]) == pytest.approx(whole.flops / 1e9, abs=0.51)
