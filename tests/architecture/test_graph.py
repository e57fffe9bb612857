"""The rules that make a graph a network."""

import dataclasses

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.formats import from_json, to_json
from official_vision.architecture.graph import Architecture, ArchitectureError, Block, Stem
from official_vision.architecture.zoo import ZOO, assemblenet_plus_plus_50
from tests.architecture.strategies import GARBAGE, architectures

RGB, FLOW, OBJECT = Stem("rgb", 8), Stem("flow", 8), Stem("object", 151)


def network(*nodes, **settings):
    return Architecture("tiny", nodes, **settings)


def refused(*nodes, **settings):
    """The message with which a graph is refused: one line."""
    with pytest.raises(ArchitectureError) as caught:
        network(*nodes, **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert "Received: " in message
    return message


@pytest.mark.parametrize(
    ("rule", "node", "nodes"),
    [
        ("Inputs are earlier nodes", 1, [RGB, Block(1, (1,), 8)]),
        ("Inputs are earlier nodes", 1, [RGB, Block(1, (2,), 8), Block(1, (1,), 8)]),
        ("Inputs are earlier nodes", 1, [RGB, Block(1, (-1,), 8)]),
        ("each input once", 1, [RGB, Block(1, (0, 0), 8)]),
        ("never of a higher level", 2, [RGB, Block(2, (0,), 8), Block(1, (1,), 8)]),
        ("needs a tuple of input nodes", 1, [RGB, Block(1, (), 8)]),
        ("needs a tuple of input nodes", 1, [RGB, Block(1, (False,), 8)]),
        ("level must be 1 to 4", 1, [RGB, Block(5, (0,), 8)]),
        ("level must be 1 to 4", 1, [RGB, Block(True, (0,), 8)]),
        ("one positive whole number", 1, [RGB, Block(1, (0,), (8, 8, 8))]),
        ("whole number from 1 to 65536", 1, [RGB, Block(1, (0,), 8, 0)]),
        ("whole number from 1 to 65536", 1, [RGB, Block(1, (0,), 8, 1, 65537)]),
        ("known stream", 0, [Stem("audio", 8), Block(1, (0,), 8)]),
        ("Stems come before blocks", 2, [RGB, Block(1, (0,), 8), FLOW, Block(1, (1, 2), 8)]),
        ("stride is what its layers give", 0, [Stem("rgb", 8, 1, 2), Block(1, (0,), 8)]),
        ("Strides of inputs must divide", 3, [
            RGB, Block(1, (0,), 8, 1, 2), Block(1, (0,), 8, 1, 3), Block(2, (1, 2), 8)
        ]),
        ("Strengths lie between 0 and 1", 1, [RGB, Block(1, (0,), 8, strengths=(1.0,))]),
        ("Strengths lie between 0 and 1", 1, [RGB, Block(1, (0,), 8, strengths=(0.5, 0.5))]),
        ("Strengths lie between 0 and 1", 1, [RGB, Block(1, (0,), 8, strengths=(float("nan"),))]),
        ("Peers are one node an input", 1, [RGB, Block(1, (0,), 8, peers=(0, 0))]),
        ("of a lower level", 2, [RGB, Block(1, (0,), 8), Block(1, (1,), 8, peers=(1,))]),
        ("last node must be a block", 1, [RGB, FLOW]),
        ("must lead to a block of the highest level", 1, [RGB, FLOW, Block(1, (0,), 8)]),
        ("must lead to a block of the highest level", 2, [
            RGB, Block(2, (0,), 8), Block(1, (0,), 8)
        ]),
        ("must lead to a block of the highest level", 1, [
            RGB, Block(1, (0,), 8, peers=(0,)), Block(2, (0,), 8, peers=(0,))
        ]),
        ("equal output channels", 2, [RGB, Block(1, (0,), 8), Block(1, (0,), 4)]),
        ("equal output channels", 3, [
            RGB, Block(1, (0,), 8), Block(1, (0,), 8), Block(1, (1,), 9)
        ]),
        ("Stem or a Block", 0, [None, Block(1, (0,), 8)]),
    ],
)  # fmt: skip
def test_each_rule_names_the_node(rule, node, nodes):
    message = refused(*nodes)
    assert rule in message
    assert message.startswith(f"Node {node}: ")


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("name of one line", {"name": "two\nlines"}),
        ("depth", {"depth": 51}),
        ("depth", {"depth": True}),
        ("block kind", {"block_kind": "basic"}),
        ("width multiplier", {"width_multiplier": float("nan")}),
        ("width multiplier", {"width_multiplier": 0}),
        ("rgb pool", {"rgb_pool_size": 0}),
        ("provenance", {"provenance": {"when": {1, 2}}}),
        ("provenance", {"provenance": {1: "number as a key"}}),
        ("needs nodes", {"nodes": ()}),
    ],
)
def test_each_setting_is_checked(words, settings):
    values = {"name": "tiny", "nodes": (RGB, Block(1, (0,), 8)), **settings}
    with pytest.raises(ArchitectureError, match=words):
        Architecture(**values)


def test_an_inverted_bottleneck_has_three_widths():
    lite = Stem("rgb", 8, spatial_stride=2)
    assert "three whole numbers" in refused(
        lite, Block(1, (0,), 8), block_kind="inverted_bottleneck"
    )
    network(lite, Block(1, (0,), (8, 8, 4)), block_kind="inverted_bottleneck")
    # Of outputs the last numbers alone must be equal.
    first, second = Block(1, (0,), (8, 8, 4)), Block(1, (0,), (6, 5, 4))
    assert network(lite, first, second, block_kind="inverted_bottleneck").outputs == (1, 2)
    unequal = dataclasses.replace(second, channels=(8, 8, 5))
    assert "Received: {1: (8, 8, 4), 2: (8, 8, 5)}" in refused(
        lite, first, unequal, block_kind="inverted_bottleneck"
    )


def test_the_highest_level_feeds_the_classifier():
    """Wherever its blocks are in the list, and whatever else they feed."""
    nodes = (
        RGB,
        FLOW,
        Block(1, (0,), 4),
        Block(3, (2,), 8),
        Block(2, (1,), 6, peers=(0,)),
        Block(3, (3, 4), 8),
        Block(3, (4,), 8, 1, 2),
    )
    graph = network(*nodes)
    assert graph.outputs == (3, 5, 6)
    assert graph.live_nodes(gated_by_peers=False) == set(range(7))
    # A later block of a lower level can lead nowhere.
    assert "Node 7: Every node must lead" in refused(*nodes, Block(2, (2,), 6))


def test_an_unfed_stem_may_serve_as_a_named_peer_only():
    gated = network(RGB, OBJECT, Block(1, (0,), 8, peers=(1,)))
    assert gated.live_nodes(gated_by_peers=True) == {0, 1, 2}
    assert gated.live_nodes(gated_by_peers=False) == {0, 2}
    assert "must lead" in refused(RGB, OBJECT, Block(1, (0,), 8))
    assert "must lead" in refused(RGB, OBJECT, Block(1, (0,), 8), Block(1, (0,), 8))


def test_nodes_may_come_as_a_list():
    assert Architecture("tiny", [RGB, Block(1, (0,), 8)]).nodes == (RGB, Block(1, (0,), 8))


def test_table_1_has_one_block_that_only_gates():
    graph = assemblenet_plus_plus_50()
    assert graph.live_nodes(gated_by_peers=False) == set(range(15)) - {9}
    assert graph.live_nodes(gated_by_peers=True) == set(range(15))
    (warning,) = graph.warnings()
    assert "node 9" in warning


def test_properties_of_table_1():
    graph = assemblenet_plus_plus_50()
    assert graph.outputs == (14,)
    assert graph.streams == ("rgb", "flow", "objects")
    assert graph.strides() == (4, 4, 4, 4, 4, 4, 4, 4, 4, 8, 8, 8, 16, 16, 32)
    assert list(graph.connections())[:6] == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (0, 6)]
    assert len(list(graph.connections())) == 46
    assert [graph.modules(level) for level in (1, 2, 3, 4)] == [3, 4, 6, 3]
    assert not graph.is_discrete()


@pytest.mark.parametrize("name", ["assemblenet_50", "two_stream_r2plus1d_50"])
def test_networks_of_constant_width_give_no_warning(name):
    assert ZOO[name]().warnings() == ()


def test_an_odd_channel_sum_is_reported():
    graph = network(Stem("rgb", 128), OBJECT, Block(1, (0, 1), 8), Block(2, (2,), 256))
    (warning,) = graph.warnings()
    assert "level 1 sum to 8, not 128" in warning


def test_a_number_too_long_to_print():
    assert "too large to show" in refused(RGB, Block(1, (0,), 10**5000))


def test_settings_replace_depth_and_width():
    graph = dataclasses.replace(assemblenet_plus_plus_50(), width_multiplier=0.5)
    changed = graph.with_settings(26, None)
    assert (changed.depth, changed.width_multiplier) == (26, 0.5)
    assert graph.with_settings(None, 0.25).width_multiplier == 0.25
    assert graph.with_settings(None, None) == graph


@given(architectures())
def test_a_network_has_a_cost_and_a_file(graph):
    assert from_json(to_json(graph)) == graph
    assert estimate(graph, Setting(frames=2, size=16)).total.trainable > 0


_ANY = {
    Stem: ("kind", "channels", "temporal_dilation", "spatial_stride"),
    Block: ("level", "inputs", "channels", "temporal_dilation", "spatial_stride", "strengths", "peers"),
    Architecture: ("name", "nodes", "depth", "block_kind", "width_multiplier", "rgb_pool_size", "provenance"),
}  # fmt: skip


@given(architectures(), st.data())
def test_nothing_but_a_network_or_one_line(graph, data):
    index = data.draw(st.integers(-1, len(graph.nodes) - 1))
    nodes = list(graph.nodes)
    settings = {}
    if index < 0:
        settings[data.draw(st.sampled_from(_ANY[Architecture]))] = data.draw(GARBAGE)
    else:
        name = data.draw(st.sampled_from(_ANY[type(nodes[index])]))
        nodes[index] = dataclasses.replace(nodes[index], **{name: data.draw(GARBAGE)})
    try:
        changed = dataclasses.replace(graph, **{"nodes": tuple(nodes), **settings})
    except ArchitectureError as error:
        event("refused")
        message = str(error)
    else:
        message = ""
        assert from_json(to_json(changed)) == changed
        assert estimate(changed, Setting(frames=2, size=16)).total.trainable > 0
    assert len(message.splitlines()) <= 1


@given(st.lists(GARBAGE, max_size=3))
def test_nodes_that_are_none(nodes):
    with pytest.raises(ArchitectureError):
        Architecture("tiny", nodes)
