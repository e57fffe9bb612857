"""Several blocks of the highest level: their spatial averages, averaged, feed the classifier."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.modeling.execution import PLAIN
from official_vision.modeling.inference.discretise import to_discrete
from official_vision.modeling.ops.convolution import BATCH_NORM_EPSILON
from official_vision.modeling.ops.shared_maps import as_one_map, mean_of_averages
from tests.modeling import small

RGB, FLOW = Stem("rgb", 4), Stem("flow", 3)
TWO = (RGB, FLOW, Block(1, (0,), 2), Block(4, (2,), 4, 1, 2), Block(4, (1, 2), 4))
# The first at half the resolution, the second also feeds the third.
THREE = (*TWO[:3], Block(4, (2,), 4, 1, 2), Block(4, (1, 2), 4), Block(4, (0, 4), 4, 1, 2))
STREAMS = ("rgb", "flow")
FRAMES = 4


def network(nodes, **settings):
    return small.network(Architecture("several", nodes, depth=26), gate="self", **settings)


def clips():
    return small.clips(size=34, frames=FRAMES, streams=STREAMS)  # odd maps: 9 x 9 and 5 x 5


def expected_frame_logits(model, maps):
    """The mean of the maps' spatial averages, times the classifier, in numpy."""
    average = np.mean([x.astype(np.float64).mean(axis=(1, 2)) for x in maps], axis=0)
    if model.head.hidden_channels:
        average = np.maximum(average @ model.head.hidden.kernel.numpy(), 0)
    kernel, bias = model.head.classifier.get_weights()
    return (average @ kernel + bias).reshape(-1, FRAMES, small.CLASSES)


@pytest.mark.parametrize("nodes", [TWO, THREE], ids=["two", "three"])
def test_logits_are_those_of_the_mean_of_averages(nodes) -> None:
    model, features = network(nodes), clips()
    endpoints = model.endpoints(features)
    maps = [endpoints[str(index)].numpy() for index in range(3, len(nodes))]
    assert {x.shape[1] for x in maps} == {5, 9}
    expected = expected_frame_logits(model, maps)
    result = model(features, training=False)
    np.testing.assert_allclose(result["frame_logits"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result["logits"], expected.max(axis=1), rtol=1e-4, atol=1e-5)
    # No single output gives these logits, nor does any two of three.
    for left in range(len(maps)):
        others = expected_frame_logits(model, maps[:left] + maps[left + 1 :])
        assert np.abs(others - expected).max() > 1e-2


def test_gradients_reach_all_outputs() -> None:
    model = network(THREE)
    with tf.GradientTape() as tape:
        logits = model(clips(), training=True)["logits"]
        loss = tf.reduce_sum(tf.square(logits))
    variables = model.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.name
        assert np.abs(gradient).max() > 0, variable.name


def test_each_output_has_an_equal_share_of_the_gradient() -> None:
    """Of the sum of a class's frame logits: kernel / (number of outputs * height * width)."""
    model, features = network(TWO), clips()
    with tf.GradientTape() as tape:
        endpoints = model.endpoints(features)
        logits = model.classify(endpoints, FRAMES)["frame_logits"]
        watched = [endpoints["3"], endpoints["4"]]
        explained = tf.reduce_sum(logits[..., 1])
    kernel = model.head.classifier.get_weights()[0][:, 1]
    for x, gradient in zip(watched, tape.gradient(explained, watched), strict=True):
        share = kernel / (2 * x.shape[1] * x.shape[2])
        np.testing.assert_allclose(
            gradient, np.broadcast_to(share, gradient.shape), rtol=1e-4, atol=1e-7
        )


def lite():
    nodes = (
        Stem("rgb", 4, spatial_stride=2),
        Block(1, (0,), (3, 3, 2), 1, 2),
        Block(4, (1,), (4, 4, 3), 1, 2),
        Block(4, (1,), (4, 5, 3)),
    )
    graph = Architecture("several", nodes, depth=26, block_kind="inverted_bottleneck")
    return small.network(graph, gate="none")


def test_the_lite_networks_last_convolution_sees_every_output() -> None:
    model = lite()
    features = small.clips(frames=FRAMES, streams=("rgb",))
    endpoints = model.endpoints(features)
    gamma, beta, mean, variance = model.final_norm.get_weights()
    maps = []
    for index in ("2", "3"):
        x = endpoints[index].numpy() @ model.final.get_weights()[0][0, 0]
        x = (x - mean) / np.sqrt(variance + BATCH_NORM_EPSILON) * gamma + beta
        maps.append(np.maximum(x, 0))
    expected = expected_frame_logits(model, maps)
    result = model(features, training=False)["frame_logits"]
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4)


def test_the_lite_networks_last_norm_takes_statistics_over_all_outputs_once() -> None:
    """In training it normalises by what its moving averages then move towards."""
    model = lite()
    model.update_count.variable.assign(1000)  # from here on momentum is fixed
    features = small.clips(frames=FRAMES, streams=("rgb",))
    endpoints = model.endpoints(features, training=True)
    kernel = model.final.get_weights()[0][0, 0]
    positions = [endpoints[i].numpy().reshape(-1, 3) @ kernel for i in ("2", "3")]
    before = model.final_norm.get_weights()[2]
    model.classify(endpoints, FRAMES, training=True)
    moved = model.final_norm.get_weights()[2]
    momentum = model.final_norm.momentum
    mean = np.concatenate(positions).mean(axis=0)
    np.testing.assert_allclose(
        moved, momentum * before + (1 - momentum) * mean, rtol=1e-4, atol=1e-5
    )


def test_one_map_is_passed_on_as_it_is() -> None:
    """Networks with one output compute what they did: no reshape, sum or division."""
    x = tf.random.normal([2, 3, 4, 5])

    @tf.function
    def forward(x):
        return mean_of_averages(as_one_map([x], tf.nn.relu), PLAIN)

    kinds = {node.op for node in forward.get_concrete_function(x).graph.as_graph_def().node}
    assert kinds <= {"Placeholder", "Relu", "Const", "Mean", "Identity"}
    np.testing.assert_array_equal(forward(x), tf.reduce_mean(tf.nn.relu(x), axis=[1, 2]))


def test_maps_of_unlike_sizes_come_back_apart() -> None:
    random = np.random.default_rng(0)
    maps = [random.normal(size=(2, *size, 3)).astype(np.float32) for size in ((2, 3), (1, 1))]
    result = as_one_map([tf.constant(x) for x in maps], lambda x: 2 * x)
    for x, y in zip(maps, result, strict=True):
        np.testing.assert_array_equal(np.reshape(y, [2, -1, 3]), 2 * x.reshape(2, -1, 3))


def test_a_discrete_network_has_the_same_outputs() -> None:
    """Derived and built anew, with the weights of all outputs and of the classifier."""
    model, features = network(THREE), clips()
    discrete = to_discrete(model)
    assert discrete.architecture.outputs == (3, 4, 5)
    np.testing.assert_allclose(
        small.logits(discrete, features), small.logits(model, features), atol=1e-6
    )
