"""Profiles: kernels of a trace by place and kind, their seconds, and the drawing."""

import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.formats import read_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.benchmark.profile.profile import (
    kind_of,
    measure_profiles,
    place_of,
    profile_text,
    summary,
)
from official_vision.benchmark.profile.profile_picture import make_figure
from official_vision.benchmark.profile.trace import XLA, Kernel, kernels_of
from official_vision.training.cost_setting import setting_of
from tests.training import runs


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("assemble_net_1/node_05/module_1/Relu", "node 05"),
        ("gradient_tape/assemble_net/node_12/gate_3_12/MatMul", "node 12"),
        ("assemble_net/flow/while", "flow"),
        ("a_inference__flow_11507__.335", "flow"),
        ("assemble_net_2/head/classifier/BiasAdd", "head"),
        ("assemble_net/MaxPool2d_3", "shared by nodes"),
        ("gradient_tape/assemble_net/truediv_1", "shared by nodes"),
        ("SGD/SGD/update_4/ResourceApplyKerasMomentum", "outside the network"),
        ("logistic_loss/Exp", "outside the network"),
    ],
)
def test_a_kernel_is_placed_by_its_path(path, place):
    assert place_of(path) == place


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("_MklNativeFusedConv2D", "convolution"),
        ("_MklNativeConv2DBackpropFilter", "convolution"),
        ("_MklNativeFusedMatMul", "matrix product"),
        ("_MklNativeFusedBatchNormGradV3", "batch norm"),
        ("_MklNativeMaxPoolGrad", "pooling"),
        (XLA, "compiled by XLA"),
        ("ResourceApplyKerasMomentum", "weights read and updated"),
        ("Cast", "values moved"),
        ("AddN", "element-wise and other"),
    ],
)
def test_a_kernel_is_of_a_kind_by_its_operation(operation, kind):
    assert kind_of(operation) == kind


def _space():
    """Two threads: a kernel with two others inside it, and one of XLA's beside what is no kernel."""
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/host:CPU")
    plane.stat_metadata[1].name = "hlo_module"
    names = [("net/call:Outer", "Outer"), ("net/a:Inner", "Inner"), ("while", ""), ("Eager", "")]
    for number, (name, shown) in enumerate(names):
        plane.event_metadata[number].name = name
        plane.event_metadata[number].display_name = shown
    first, second = plane.lines.add(), plane.lines.add()
    for kind, begin, length in ((0, 0, 100), (1, 10, 20), (1, 50, 30), (1, 200, 5)):
        first.events.add(metadata_id=kind, offset_ps=begin, duration_ps=length)
    compiled = second.events.add(metadata_id=2, offset_ps=0, duration_ps=40)
    compiled.stats.add(metadata_id=1, str_value="a_inference__flow_1__.2")
    second.events.add(metadata_id=3, offset_ps=0, duration_ps=1000)
    space.planes.add(name="/host:metadata").lines.add().events.add(duration_ps=7)
    return space


def test_a_kernels_seconds_exclude_others():
    kernels = list(kernels_of(_space()))
    actual = sorted(
        (kernel.path, kernel.operation, round(kernel.seconds * 1e12)) for kernel in kernels
    )
    assert actual == [
        ("a_inference__flow_1__.2", XLA, 40),
        ("net/a", "Inner", 5),
        ("net/a", "Inner", 20),
        ("net/a", "Inner", 30),
        ("net/call", "Outer", 100 - 20 - 30),
    ]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    return runs.config(folder, folder / "run", runs.save_small(folder), batch_size=2)


def _summary(config):
    graph = read_architecture(config.model.architecture)
    last = f"assemble_net/node_{graph.outputs[-1]:02d}/module_0"
    kernels = [
        Kernel("assemble_net/node_00/spatial/Conv2D", "Conv2D", 0.6),
        Kernel(f"{last}/Conv2D", "Conv2D", 1.0),
        Kernel(f"{last}/add", "AddV2", 0.2),
        Kernel("assemble_net/head/classifier/MatMul", "MatMul", 0.1),
        Kernel("SGD/update", "ResourceApplyKerasMomentum", 0.1),
    ]
    cost = estimate(graph, setting_of(config.model, config.train_data))
    return graph, cost, summary(kernels, 2, graph, cost)


def test_the_head_belongs_to_the_streams_of_all_outputs():
    nodes = (Stem("rgb", 8), Stem("flow", 8), Block(1, (0,), 4), Block(1, (1,), 4))
    graph = Architecture("two", nodes, depth=26)
    kernels = [
        Kernel("assemble_net/node_03/module_0/Conv2D", "Conv2D", 0.3),
        Kernel("assemble_net/head/classifier/MatMul", "MatMul", 0.1),
    ]
    result = summary(kernels, 1, graph, estimate(graph, Setting(frames=2, size=16)))
    streams = {row["name"]: row["seconds"] for row in result["streams"]}
    assert streams == pytest.approx({"flow": 0.3, "rgb+flow": 0.1})


def test_seconds_add_up_a_call_beside_flops(config):
    graph, cost, figures = _summary(config)
    last = f"node {graph.outputs[-1]:02d}"
    assert figures["kernel_seconds"] == pytest.approx(1.0)
    seconds = {row["name"]: row["seconds"] for row in figures["places"]}
    assert seconds == pytest.approx(
        {"node 00": 0.3, last: 0.6, "head": 0.05, "outside the network": 0.05}
    )
    flops = {row["name"]: row["share_of_flops"] for row in figures["places"]}
    assert flops[last] == pytest.approx(cost.of_node(graph.outputs[-1]).flops / cost.total.flops)
    assert flops["outside the network"] == 0
    streams = {row["name"]: row["seconds"] for row in figures["streams"]}
    assert streams == pytest.approx(
        {"rgb": 0.3, "rgb+flow+objects": 0.65, "outside the network": 0.05}
    )
    kinds = [(row["name"], row["share"]) for row in figures["kinds"]]
    assert kinds[0] == ("convolution", pytest.approx(0.8))
    for table in ("places", "streams", "kinds"):
        assert sum(row["share"] for row in figures[table]) == pytest.approx(1)


def test_the_bars_are_the_shares(config):
    figures = _summary(config)[2]
    profile = {"name": "small", "precision": "float32", "seconds": {"median": 0.5}} | figures
    result = {"what": "train", "rounds": 2, "profiles": [profile]}
    axes = make_figure(result).subfigs[0].axes
    for panel, table in zip(axes, ("places", "streams", "kinds"), strict=True):
        lengths = [bar.get_width() for bar in panel.patches]
        assert lengths == pytest.approx([100 * row["share"] for row in figures[table]])
    (marks,) = axes[0].lines
    flops = [100 * row["share_of_flops"] for row in figures["places"]]
    assert list(marks.get_xdata()) == pytest.approx(flops)
    assert "train of small, float32: 0.500 s per call" in profile_text(result)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["forward", "train"])
def test_a_real_trace_has_every_node_and_little_that_is_unknown(config, what, tmp_path):
    (profile,) = measure_profiles({"small": config}, what, 2, tmp_path, ("float32",))["profiles"]
    graph = read_architecture(config.model.architecture)
    alive = estimate(graph, setting_of(config.model, config.train_data)).alive
    shares = {row["name"]: row["share"] for row in profile["places"]}
    assert {f"node {index:02d}" for index in alive} <= set(shares)
    assert shares["head"] > 0
    # Kernels run on two threads at most here, and some of the call is the executor's.
    assert 0 < profile["kernel_seconds"] < 4 * profile["seconds"]["most"]
    kinds = {row["name"] for row in profile["kinds"]}
    assert "convolution" in kinds
    if what == "forward":
        assert shares.get("outside the network", 0) < 0.1
    else:
        assert {"weights read and updated", "batch norm"} <= kinds
    (trace,) = (tmp_path / "small-float32").rglob("*.xplane.pb")
    assert tf.io.gfile.stat(str(trace)).length > 1000
