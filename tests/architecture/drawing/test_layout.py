"""Drawings leave room for everything: no box, lane or label over another."""

import itertools

from hypothesis import given

from official_vision.architecture.drawing.layout import LANE_HEIGHT, Wire, lay_out
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.zoo import assemblenet_plus_plus_50
from tests.architecture.strategies import architectures


def named_peers(graph):
    return {i: n.peers for i, n in enumerate(graph.nodes) if getattr(n, "peers", None)}


def test_columns_and_lanes_of_table_1():
    layout = lay_out(assemblenet_plus_plus_50(), {})
    assert layout.columns == (0, 1, 2, 3, 4)
    assert layout.column_of == (0,) * 5 + (1,) * 4 + (2,) * 3 + (3,) * 2 + (4,)
    # Objects run to level 4; the rgb stems end in level 2; 2, 3, 5, 6, 7 and 8 pass level 2 to 13.
    assert {column for wire, column in layout.lanes if wire == Wire(4, False)} == {1, 2, 3}
    assert {column for wire, column in layout.lanes if wire == Wire(0, False)} == {1}
    passing = {wire.source for wire, column in layout.lanes if column == 2}
    assert passing == {2, 3, 4, 5, 6, 7, 8}


def test_blocks_of_one_level_that_feed_each_other_get_columns():
    nodes = (Stem("rgb", 8), Block(1, (0,), 8), Block(1, (1,), 8), Block(2, (0, 2), 8))
    layout = lay_out(Architecture("tiny", nodes), {})
    assert layout.columns == (0, 1, 1, 2)
    assert layout.column_of == (0, 1, 2, 3)


@given(architectures())
def test_nothing_overlaps(graph):
    peers = named_peers(graph)
    layout = lay_out(graph, peers)
    spans = {}
    for index, column in enumerate(layout.column_of):
        half = layout.height_of[index] / 2
        spans.setdefault(column, []).append((layout.centre[index] - half, 2 * half))
    for (_, column), y in layout.lanes.items():
        spans.setdefault(column, []).append((y - LANE_HEIGHT / 2, LANE_HEIGHT))
    for column in spans.values():
        column.sort()
        assert column[0][0] >= -1e-9
        assert column[-1][0] + column[-1][1] <= layout.height + 1e-9
        for (top, height), (below, _) in itertools.pairwise(column):
            assert top + height <= below + 1e-9


@given(architectures())
def test_every_wire_has_a_way(graph):
    peers = named_peers(graph)
    layout = lay_out(graph, peers)
    ends = [(Wire(source, False), end) for source, end in graph.connections()]
    ends += [(Wire(peer, True), end) for end, chosen in peers.items() for peer in chosen]
    for wire, end in ends:
        start = layout.column_of[wire.source]
        assert start < layout.column_of[end]
        for column in range(start + 1, layout.column_of[end]):
            assert (wire, column) in layout.lanes
