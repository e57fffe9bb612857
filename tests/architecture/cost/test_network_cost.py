"""The bill of a network, against hand counts, the built model and TensorFlow's profiler."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.architecture.cost.layer_cost import Count, total
from official_vision.architecture.cost.network_cost import (
    GATES,
    Setting,
    estimate,
    fed_by,
    feeding_classifier,
)
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.zoo import ZOO, assemblenet_50, assemblenet_plus_plus_50
from official_vision.errors import UserError
from tests.architecture.strategies import architectures

TINY = Architecture("tiny", (Stem("rgb", 8), Block(1, (0,), 4)), depth=26)
SETTING = Setting(gate="none", frames=2, size=8, num_classes=5)


def role(cost, name, **where):
    return total(
        part.count
        for part in cost.parts
        if part.role == name and all(getattr(part, key) == value for key, value in where.items())
    )


def test_a_stem_by_hand():
    # 7x7/2 from 3 to 8 channels on 2 x 4 x 4, five frames of 8 channels, a 2x2 pool to 2 x 2 x 2.
    count = estimate(TINY, SETTING).of_node(0)
    assert count.trainable == 49 * 3 * 8 + 16 + 5 * 8 * 8 + 16
    assert count.moving == 32
    assert count.flops == 2 * 32 * (1176 + 320)
    assert count.elementwise == 3 * 256 + 3 * 256 + 3 * 64
    assert count.activation_bytes == 4 * (256 + 256 + 64)


def test_a_block_by_hand():
    # 2-D: 8 -> 4 -> 64 -> 16 and a projection; (2+1)-D: 3 frames 16 -> 4 -> 64 -> 16. 2 x 2 x 2.
    count = estimate(TINY, SETTING).of_node(1)
    first, second = 32 + 9 * 4 * 64 + 64 * 16 + 8 * 16, 3 * 16 * 4 + 9 * 4 * 64 + 64 * 16
    channels = (4 + 64 + 16 + 16) + (4 + 64 + 16)
    assert count.trainable == first + second + 2 * channels
    assert count.flops == 2 * 8 * (first + second)
    assert estimate(TINY, SETTING).of_role("head").trainable == 16 * 5 + 5


def test_the_head_of_two_outputs_by_hand():
    """Averages of 2 x 2 x 2 and 2 x 1 x 1 positions of 16 channels, their mean, and the classifier."""
    nodes = (Stem("rgb", 8), Stem("flow", 8), Block(1, (0,), 4), Block(1, (1,), 4, 1, 2))
    cost = estimate(Architecture("two", nodes), SETTING)
    head = cost.of_role("head")
    assert head.trainable == 16 * 5 + 5
    assert head.flops == 2 * 2 * 16 * 5
    assert head.elementwise - 2 * 5 * 2 == 8 * 16 + 2 * 16 + 2 * 2 * 16
    # Both streams reach the classifier, though none of the outputs is fed by both.
    assert cost.of_streams()["rgb+flow"] == head
    assert feeding_classifier(cost.architecture) == ("rgb", "flow")


def test_gates_of_table_1_by_hand():
    graph = assemblenet_plus_plus_50()
    one_shot = estimate(graph, Setting(gate="peer"))
    # Candidates 0 to 4: four maps 32 -> 151, five logits, then 151 -> 32 with bias.
    expected = 4 * 32 * 151 + 5 + 151 * 32 + 32
    assert role(one_shot, "gate", node=5, source=0).trainable == expected
    itself = estimate(graph, Setting(gate="self"))
    assert role(itself, "gate", node=14, source=12).trainable == 1024 * 1024 + 1024
    static = estimate(graph, Setting(gate="static"))
    assert role(static, "gate", node=14, source=4).trainable == 151
    # One number per channel of every connection, but for those into node 9, which is not built.
    widths = [
        static.plan[source].output_channels for source, end in graph.connections() if end != 9
    ]
    assert role(static, "gate").trainable == sum(widths)
    assert role(estimate(graph, Setting(gate="none")), "gate") == Count()


def test_a_discrete_gate_reads_one_peer():
    nodes = (Stem("rgb", 8), Stem("flow", 6), Block(1, (0, 1), 4, peers=(1, 1)))
    cost = estimate(Architecture("tiny", nodes), Setting(frames=2, size=8))
    assert role(cost, "gate", source=0).trainable == 6 * 8 + 8
    assert role(cost, "gate", source=0).flops == 2 * 2 * 6 * 8
    # Only the peer is averaged, once: 2 x 2 x 2 positions of 6 channels.
    assert role(cost, "average") == role(cost, "average", node=1) == Count(elementwise=48)


def test_pools_are_shared_by_consumers():
    nodes = (
        Stem("rgb", 8),
        Block(1, (0,), 4, 1, 2),
        Block(2, (0, 1), 4),
        Block(2, (0, 1), 4),
        Block(3, (2, 3), 4),
    )
    cost = estimate(Architecture("tiny", nodes), Setting(gate="none", frames=1, size=16))
    pools = [(part.node, part.source) for part in cost.parts if part.role == "pool"]
    assert pools == [(2, 0)]
    assert role(cost, "pool").elementwise == 3 * 2 * 2 * 8


def test_the_computed_flow_is_billed_once_to_flow():
    stored = estimate(assemblenet_50(), Setting(frames=4, size=32))
    computed = estimate(assemblenet_50(), Setting(frames=4, size=32, flow_source="computed"))
    flow = computed.of_role("flow")
    assert stored.of_role("flow") == Count()
    assert flow.elementwise == (50 * 40 + 14) * 3 * 32 * 32
    assert computed.total == stored.total + flow
    assert computed.of_streams()["flow"] == stored.of_streams()["flow"] + flow


def test_nodes_by_stream():
    graph = assemblenet_plus_plus_50()
    assert fed_by(graph)[6] == ("rgb", "objects")
    assert fed_by(graph)[8] == fed_by(graph)[10] == ("flow", "objects")
    assert fed_by(graph)[14] == ("rgb", "flow", "objects")
    cost = estimate(graph)
    assert cost.of_streams()["rgb"] == cost.of_node(0) + cost.of_node(1)
    assert cost.of_streams()["rgb+objects"] == cost.of_node(6)


def test_an_idle_block_costs_nothing_without_peers():
    graph = assemblenet_plus_plus_50()
    assert estimate(graph, Setting(gate="self")).of_node(9) == Count()
    assert estimate(graph, Setting(gate="peer")).of_node(9).trainable > 1_000_000


def test_as_measured_elsewhere():
    """AssembleNet-50 on the authors' port: 36.99 M parameters, 253.9 GFLOPs at 16 x 224 x 224."""
    whole = estimate(
        assemblenet_50(), Setting(gate="none", frames=16, flow_source="computed")
    ).total
    assert round(whole.parameters / 1e6, 2) == 36.99
    assert (whole.flops + whole.elementwise) / 1e9 == pytest.approx(253.9, rel=0.005)


@pytest.mark.parametrize("name", ["frames", "size", "num_classes", "num_object_classes"])
@pytest.mark.parametrize("value", [0, -1, True, 2.0])
def test_a_wrong_setting(name, value):
    with pytest.raises(UserError, match=f"{name} must be a whole number"):
        Setting(**{name: value})


def test_a_wrong_gate():
    with pytest.raises(UserError, match="'None'"):
        Setting(gate="None")


@given(architectures(), st.sampled_from(GATES))
def test_the_parts_make_the_whole(graph, gate):
    cost = estimate(graph, Setting(gate=gate, frames=3, size=20, flow_source="computed"))
    assert total(cost.of_streams().values()) == cost.total
    nodes = total(cost.of_node(node.index) for node in cost.plan)
    assert nodes + cost.of_role("flow", "head") == cost.total
    connections = total(cost.of_connection(*ends) for ends in set(graph.connections()))
    assert connections == cost.of_role("pool", "connection", "gate")


@given(architectures(), st.sampled_from(GATES), st.integers(1, 5))
def test_arithmetic_grows_with_frames_and_parameters_do_not(graph, gate, times):
    one = estimate(graph, Setting(gate=gate, frames=1, size=20)).total
    several = estimate(graph, Setting(gate=gate, frames=times, size=20)).total
    assert several.parameters == one.parameters
    assert several.flops == times * one.flops
    assert several.activation_bytes == times * one.activation_bytes


def profiled(model, frames, size):
    """FLOPs of convolutions and products in the traced model, by TensorFlow's profiler."""
    import tensorflow as tf

    from official_vision.modeling.inputs import input_signature

    signature = input_signature(model.streams, 1, frames, size)
    call = tf.function(lambda features: model(features, training=False)["logits"])
    graph = call.get_concrete_function(signature).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    by_operation = tf.compat.v1.profiler.profile(graph, cmd="op", options=options)
    flops, todo = 0, [by_operation]
    while todo:
        entry = todo.pop()
        todo += entry.children
        if entry.name in ("Conv2D", "MatMul"):
            flops += entry.float_ops
    # The profiler does not know Conv3D, of which the -lite network has one a module, nor a kernel per frame.
    for operation in graph.get_operations():
        if operation.type == "Conv3D":
            taps = operation.inputs[1].shape[:-1].num_elements()
        elif operation.type == "BatchMatMulV2":
            taps = operation.inputs[0].shape[-1]
        else:
            continue
        flops += 2 * operation.outputs[0].shape.num_elements() * taps
    return flops


def model_and_estimate(graph, spec):
    from official_vision.modeling.builder import build_model

    model = build_model(spec, graph)
    setting = Setting(
        spec.gate, 4, 50, spec.num_classes, spec.num_object_classes, spec.frame_pooling
    )
    return model, estimate(model.architecture, setting).total


def assert_exact(graph, spec):
    model, whole = model_and_estimate(graph, spec)
    assert model.count_params() == whole.parameters
    assert sum(v.shape.num_elements() for v in model.trainable_variables) == whole.trainable
    assert profiled(model, frames=4, size=50) == whole.flops


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "gate"),
    [(name, "peer") for name in ZOO]
    + [("two_stream_r2plus1d_50", "none"), ("two_stream_r2plus1d_50", "static")]
    + [("slowfast_50", "self"), ("assemblenet_plus_plus_50", "none")],
)
def test_every_network_costs_what_its_model_costs(name, gate):
    from official_vision.specs import ModelSpec

    graph = dataclasses.replace(ZOO[name](), depth=26, width_multiplier=0.25)
    pooling = "softmax" if gate == "peer" else "max"
    assert_exact(
        graph,
        ModelSpec(gate=gate, num_classes=7, num_object_classes=13, frame_pooling=pooling),
    )


@pytest.mark.slow
def test_a_discrete_network_costs_what_its_model_costs():
    from official_vision.specs import ModelSpec

    nodes = (
        Stem("rgb", 8),
        Stem("flow", 6),
        Stem("object", 151),
        Block(1, (0, 2), 4, strengths=(0.5, 0.25), peers=(2, 1)),
        Block(2, (1, 3), 5, 2, 2, peers=(3, 2)),
    )
    graph = Architecture("tiny", nodes, depth=26)
    assert_exact(graph, ModelSpec(num_classes=7, num_object_classes=13))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bottleneck", "inverted_bottleneck"])
def test_a_network_of_two_outputs_costs_what_its_model_costs(kind):
    """One at half the other's height and width."""
    from official_vision.specs import ModelSpec

    is_lite = kind == "inverted_bottleneck"
    channels = (5, 6, 4) if is_lite else 4
    nodes = (
        Stem("rgb", 8, spatial_stride=2 if is_lite else 4),
        Block(1, (0,), channels),
        Block(2, (0, 1), channels),
        Block(2, (1, 2), channels, 1, 2),
    )
    graph = Architecture("two", nodes, depth=26, block_kind=kind)
    assert_exact(graph, ModelSpec(gate="self", num_classes=7, num_object_classes=3))


def test_a_block_that_strides_in_its_first_convolution_costs_what_its_model_costs():
    from official_vision.specs import ModelSpec

    graph = dataclasses.replace(
        ZOO["two_stream_r2plus1d_50"](), depth=26, width_multiplier=0.125, downsampling="first"
    )
    assert_exact(graph, ModelSpec(gate="self", num_classes=7, num_object_classes=3))
