"""The cost of each connection: by hand, against the whole network's bill, and weighed by learned values."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.architecture.cost.connection_cost import connection_costs
from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.plan import make_plan
from official_vision.architecture.zoo import ZOO
from tests.architecture.strategies import architectures

SETTING = Setting(frames=2, size=16, num_classes=3, num_object_classes=5)
# 16 pixels: stems give 4 x 4, node 3 (8 channels) 4 x 4, node 4 is fed at 2 x 2 by node 2's stride.
HAND = Architecture(
    "hand",
    (
        Stem("rgb", 3),
        Stem("object", 5),
        Block(1, (0,), 2, 1, 2),
        Block(1, (0, 1), 2),
        Block(2, (0, 1, 2, 3), 4),
    ),
)


def test_by_hand():
    costs = connection_costs(HAND, SETTING)
    # 2 frames of 4 x 4; widths: rgb 3, objects 5, blocks 8.
    assert costs.maps[0, 2] == 32 * 3  # alone: scaled by its gate
    # Objects pass a 1x1 convolution to the 3 channels of rgb, which passes none.
    assert costs.maps[0, 3] == 32 * 3
    assert costs.maps[1, 3] == 32 * 5 + 2 * 32 * 5 * 3
    # Into node 4, 2 frames of 2 x 2 and 8 channels wide: pooled 2 x 2 (3 comparisons), scaled, convolved.
    assert costs.maps[0, 4] == 3 * 8 * 3 + 8 * 3 + 2 * 8 * 3 * 8
    assert costs.maps[1, 4] == 3 * 8 * 5 + 8 * 5 + 2 * 8 * 5 * 8
    assert costs.maps[2, 4] == 8 * 8
    assert costs.maps[3, 4] == 3 * 8 * 8 + 8 * 8
    # Gates: candidates of node 4 are nodes 0 to 3; one vector per frame, its bias and its sigmoid.
    expected = [2 * 2 * k * 5 + 2 * 5 + 2 * 5 for k in (3, 5, 8, 8)]
    assert list(costs.gates[1, 4]) == expected
    assert costs.full == sum(costs.maps.values()) + sum(map(max, costs.gates.values()))
    assert costs.unit == "arithmetic"


@pytest.mark.parametrize("gate", ["none", "static", "self", "peer"])
@pytest.mark.parametrize("name", ["assemblenet_50", "assemblenet_plus_plus_lite"])
def test_without_open_peers_they_are_parts_of_the_whole_bill(name, gate):
    """Two formulas: of the whole network, in which connections share, and of each by itself."""
    setting = Setting(gate=gate, frames=8, size=64)
    graph = ZOO[name]()
    plan = make_plan(graph)
    nodes = tuple(
        dataclasses.replace(node, peers=(plan[index].candidates[0],) * len(node.inputs))
        if isinstance(node, Block)
        else node
        for index, node in enumerate(graph.nodes)
    )
    graph = dataclasses.replace(graph, nodes=nodes)
    bill = estimate(graph, setting).of_role("pool", "connection", "gate", "fusion")
    costs = connection_costs(graph, setting)
    assert not any(costs.gates.values())
    # The bill also adds maps up, and multiplies strengths with gates.
    sums = merged = 0
    for node in plan:
        if node.fusion is None or node.index not in estimate(graph, setting).alive:
            continue
        fusion, positions = node.fusion, setting.positions(node.input_stride)
        if len(fusion.inputs) > 1:
            groups = {w: fusion.input_channels.count(w) for w in fusion.input_channels}
            sums += positions * sum(w * (n - 1) for w, n in groups.items())
            sums += positions * fusion.target_channels * (len(groups) - 1)
            merged += (gate != "none") * setting.frames * sum(fusion.input_channels)
    total = bill.flops + bill.elementwise - sums - merged
    assert sum(costs.maps.values()) == pytest.approx(total, rel=1e-12)


def test_the_expected_cost_by_hand():
    graph = Architecture(
        "two", (Stem("rgb", 3), Stem("flow", 3), Block(1, (0, 1), 2), Block(2, (2,), 2))
    )
    costs = connection_costs(graph, SETTING)
    strengths = {2: (0.25, 0.5)}
    peers = {2: ((0.5, 0.5), (1.0, 0.0)), 3: ((0.2, 0.3, 0.5),)}
    gates = costs.gates
    spent = (
        0.25 * (costs.maps[0, 2] + sum(gates[0, 2]) / 2)
        + 0.5 * (costs.maps[1, 2] + gates[1, 2][0])
        + costs.maps[2, 3]
        + float(np.dot(peers[3][0], gates[2, 3]))
    )
    assert costs.expected(graph, strengths, peers) == pytest.approx(spent / costs.full)


@given(architectures(has_peers=False), st.floats(0, 1))
def test_it_is_one_in_full_and_grows_with_strength(graph, share):
    costs = connection_costs(graph, SETTING)
    dearest = {}
    for (source, consumer), gates in costs.gates.items():
        position = graph.nodes[consumer].inputs.index(source)
        rows = dearest.setdefault(consumer, [None] * len(graph.nodes[consumer].inputs))
        rows[position] = [float(k == int(np.argmax(gates))) for k in range(len(gates))]
    built = {consumer for _, consumer in costs.maps}

    def expected(strength):
        strengths = {i: [strength] * len(graph.nodes[i].inputs) for i in built}
        return costs.expected(graph, strengths, dearest)

    assert expected(1.0) == pytest.approx(1)
    assert expected(share) == pytest.approx(share, abs=1e-12)
