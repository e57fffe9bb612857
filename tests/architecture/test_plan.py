"""The numbers that builder and cost model share, against Table 1 worked out by hand."""

import dataclasses

import pytest

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.plan import make_plan
from official_vision.architecture.zoo import assemblenet_plus_plus_50, assemblenet_plus_plus_lite

# node: output channels, M, stride of the fused input, stride, modules, peers to choose from
TABLE_1 = {
    0: (32, 0, 1, 4, 0, 0),
    4: (151, 0, 1, 4, 0, 0),
    5: (128, 64, 4, 4, 3, 5),
    8: (128, 64, 4, 4, 3, 5),
    9: (256, 128, 4, 8, 4, 9),
    11: (512, 128, 4, 8, 4, 9),
    12: (1024, 256, 8, 16, 6, 12),
    13: (1024, 256, 8, 16, 6, 12),
    14: (2048, 512, 16, 32, 3, 14),
}
# node: width of the fused map, widths that pass a 1x1 convolution, pool of each input
FUSIONS = {
    5: (32, (151,), (1, 1, 1, 1, 1)),
    6: (32, (151,), (1, 1, 1)),
    9: (128, (32, 151), (1,) * 8),
    12: (512, (151,), (2, 1)),
    13: (512, (32, 151, 128, 256), (2, 2, 2, 2, 2, 2, 2, 1, 1)),
    14: (1024, (151,), (4, 1, 1)),
}


def test_nodes_of_table_1():
    plan = make_plan(assemblenet_plus_plus_50())
    for index, expected in TABLE_1.items():
        node = plan[index]
        actual = (
            node.output_channels,
            node.middle_channels,
            node.input_stride,
            node.stride,
            len(node.modules),
            len(node.candidates),
        )
        assert actual == expected, index


def test_fusions_of_table_1():
    plan = make_plan(assemblenet_plus_plus_50())
    for index, expected in FUSIONS.items():
        fusion = plan[index].fusion
        actual = (fusion.target_channels, fusion.convolved_widths, fusion.pool_ratios)
        assert actual == expected, index
        assert fusion.output_channels == fusion.target_channels
    assert plan[0].fusion is None


def test_a_single_input_is_passed_on_as_it_is():
    graph = Architecture("tiny", (Stem("object", 151), Block(1, (0,), 8)))
    fusion = make_plan(graph, num_object_classes=20)[1].fusion
    assert (fusion.convolved_widths, fusion.output_channels) == ((), 20)


def test_objects_alone_set_the_width():
    graph = Architecture("tiny", (Stem("object", 151), Stem("object", 151), Block(1, (0, 1), 8)))
    assert make_plan(graph, 7)[2].fusion.target_channels == 7


def test_the_multiplier_scales_all_but_objects():
    graph = dataclasses.replace(assemblenet_plus_plus_50(), width_multiplier=0.1)
    plan = make_plan(graph)
    # 3.2 -> 3 and 12.8 -> 13; a half goes to the even neighbour: 0.1 x 25 = 2.5 -> 2.
    assert (plan[0].output_channels, plan[4].output_channels) == (3, 151)
    assert (plan[11].channels, plan[11].output_channels, plan[11].middle_channels) == (13, 52, 13)
    odd = dataclasses.replace(graph, nodes=(Stem("rgb", 25), Block(1, (0,), 1)))
    assert [node.output_channels for node in make_plan(odd)] == [2, 4]


def test_an_inverted_bottleneck_ends_in_its_last_width():
    plan = make_plan(assemblenet_plus_plus_lite())
    assert [node.output_channels for node in plan] == [24, 24, 12, 12, 24, 24, 24, 24, 68, 68, 192]
    assert [node.stride for node in plan] == [2, 2, 4, 4, 8, 8, 8, 8, 16, 16, 32]
    assert plan[4].fusion.pool_ratios == (2, 2, 1, 1)


@pytest.mark.parametrize(
    ("mode", "peers", "expected"),
    [
        ("none", None, []),
        ("static", None, [(0, 1), (2, 1)]),
        ("self", None, [(0, 2), (2, 1)]),
        ("peer", None, [((0, 1, 2), 1)] * 2),
        ("peer", (1, 0), [(1, 1), (0, 1)]),
        ("self", (1, 0), [(0, 2), (2, 1)]),
    ],
)
def test_what_a_gate_reads(mode, peers, expected):
    """A self gate reads what its connection pools: the stem's map, twice as large as the block's."""
    block = Block(2, (0, 2), 8, peers=peers)
    nodes = (Stem("rgb", 8), Stem("flow", 8), Block(1, (1,), 8, 1, 2), block)
    graph = Architecture("tiny", nodes)
    assert make_plan(graph)[3].gate_sources(mode) == expected
