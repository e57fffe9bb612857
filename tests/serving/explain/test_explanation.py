"""Explanations beside the same figures worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model
from official_vision.serving.explain.explanation import (
    attention_maps,
    explain,
    gate_values,
    grad_cam,
    streams_reaching,
)
from official_vision.specs import ModelSpec
from tests.serving import exports


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def network(peers=None, gate="peer"):
    graph = Architecture(
        "tiny",
        (
            Stem("rgb", 4),
            Stem("flow", 4),
            Block(1, (0,), 4, peers=None if peers is None else (peers,)),
            Block(1, (0, 1), 4, peers=None if peers is None else (peers, peers)),
            Block(4, (2, 3), 8, 1, 2, peers=None if peers is None else (peers, peers)),
        ),
        depth=26,
    )
    tf.random.set_seed(3)
    spec = ModelSpec(num_classes=3, width_multiplier=0.1, gate=gate, activation="sigmoid")
    model = build_model(spec, graph)
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if "variance" not in weight.name:
            weight.assign(generator.normal(0.3, 0.3, weight.shape))
    # So small logits that scores are neither 0 nor 1.
    noise = {
        "rgb": tf.constant(generator.integers(0, 255, (1, 1, 16, 16, 3)).astype(np.uint8)),
        "flow": tf.zeros([1, 1, 16, 16, 2]),
    }
    kernel = model.head.classifier.kernel
    kernel.assign(kernel / tf.reduce_max(tf.abs(model(noise)["logits"])))
    return model


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture(scope="module")
def clip():
    generator = np.random.default_rng(1)
    return {
        "rgb": tf.constant(generator.integers(0, 255, (1, 3, 16, 16, 3)).astype(np.uint8)),
        "flow": tf.constant(generator.normal(size=(1, 3, 16, 16, 2)).astype(np.float32)),
    }


def test_grad_cam_of_a_linear_network():
    """y = sum of w_c over places and channels: each gradient is w_c, so the map is relu(sum w_c a_c)."""
    generator = np.random.default_rng(0)
    activations, weights = generator.normal(size=(2, 3, 4, 5)), generator.normal(size=5)
    gradients = np.broadcast_to(weights, activations.shape)
    expected = np.zeros((2, 3, 4))
    for place in np.ndindex(2, 3, 4):
        expected[place] = max(0, sum(activations[(*place, c)] * weights[c] for c in range(5)))
    assert 0 < np.count_nonzero(expected) < expected.size
    np.testing.assert_allclose(grad_cam(activations, gradients), expected)


def test_the_last_nodes_map_follows_from_the_classifier(model, clip):
    """After the last block are an average and a linear classifier: its weights are the gradients."""
    heat_map = attention_maps(model, clip, 4, 1)["rgb"]
    activations = model.endpoints(clip)["4"].numpy()
    height, width = activations.shape[1:3]
    kernel = model.head.classifier.kernel.numpy()[:, 1] / (height * width)
    np.testing.assert_allclose(
        heat_map.values, np.maximum(activations @ kernel, 0), rtol=1e-4, atol=1e-7
    )
    assert heat_map.node == 4
    assert heat_map.streams == ("flow", "rgb")


def test_of_two_outputs_each_has_half_the_classifiers_weights(clip):
    """Logits are of the mean of two averages; block 4 alone also changes them by way of block 5."""
    nodes = (*network().architecture.nodes, Block(4, (3,), 8))
    graph = Architecture("two", nodes, depth=26)
    model = build_model(ModelSpec(num_classes=3, width_multiplier=0.1, gate="none"), graph)
    # Along what is active at one place, so that the map is positive there whatever was drawn above.
    along = model.endpoints(clip)["5"].numpy()[0, 0, 0]
    assert np.abs(along).max() > 0
    weights = model.head.classifier.kernel.numpy()
    weights[:, 1] = along / np.linalg.norm(along)
    model.head.classifier.kernel.assign(weights)
    maps = attention_maps(model, clip, 4, 1)
    activations = model.endpoints(clip)["5"].numpy()
    height, width = activations.shape[1:3]
    kernel = model.head.classifier.kernel.numpy()[:, 1] / (2 * height * width)
    assert {shown.node for shown in maps.values()} == {5}
    assert np.abs(maps["flow"].values).max() > 0
    np.testing.assert_allclose(
        maps["flow"].values, np.maximum(activations @ kernel, 0), rtol=1e-4, atol=1e-7
    )


def test_a_streams_node_is_reached_by_the_fewest_others(model, clip):
    assert streams_reaching(model.architecture)[2:] == [{"rgb"}, {"rgb", "flow"}, {"rgb", "flow"}]
    maps = attention_maps(model, clip, 1, 0)
    assert {kind: heat_map.node for kind, heat_map in maps.items()} == {"rgb": 2, "flow": 3}
    assert {kind: heat_map.streams for kind, heat_map in maps.items()}["rgb"] == ("rgb",)
    stems = attention_maps(model, clip, 0, 0)
    assert {kind: heat_map.node for kind, heat_map in stems.items()} == {"rgb": 0, "flow": 1}
    with pytest.raises(UserError, match="Received: 2"):
        attention_maps(model, clip, 2, 0)


def test_a_streams_drop_is_the_score_without_it(model, clip):
    explanation = explain(model, clip)
    whole = sigmoid(model(clip)["logits"].numpy()[0])
    np.testing.assert_allclose(explanation.scores, whole, atol=1e-6)
    assert explanation.label_index == whole.argmax()
    for stream, neutral in (("rgb", 115), ("flow", 0)):
        blanked = {
            **clip,
            stream: tf.fill(clip[stream].shape, tf.cast(neutral, clip[stream].dtype)),
        }
        left = sigmoid(model(blanked)["logits"].numpy()[0])[explanation.label_index]
        assert explanation.drops[stream] == pytest.approx(whole.max() - left, abs=1e-6)
        assert explanation.drops[stream] != 0
    for wrong in (-1, 3):
        with pytest.raises(UserError, match=f"0 to 2. Received: {wrong}"):
            explain(model, clip, label_index=wrong)


def test_gates_are_those_of_the_peers(clip):
    """A discrete gate is a sigmoid of a linear map of its peer's average; strengths are sigmoid(w)."""
    model = network(peers=1)
    average = model.endpoints(clip)["1"].numpy().mean(axis=(1, 2))
    gates = gate_values(model, clip)
    assert [(g.source, g.target) for g in gates] == [(0, 2), (0, 3), (1, 3), (2, 4), (3, 4)]
    for gate in gates:
        block = model.blocks()[gate.target]
        position = model.architecture.nodes[gate.target].inputs.index(gate.source)
        dense = block.gates[position].dense
        expected = sigmoid(average @ dense.kernel.numpy() + dense.bias.numpy())
        np.testing.assert_allclose(gate.values, expected, atol=1e-5)
        assert gate.peers == ((1, 1.0),)
    logits = model.blocks()[4].fusion.strength_logits.numpy()
    assert [g.strength for g in gates[-2:]] == pytest.approx(sigmoid(logits), abs=1e-6)
    assert gates[0].strength == 1


def test_candidates_are_named_by_their_shares(model, clip):
    gate = gate_values(model, clip)[-1]
    logits = model.blocks()[4].gates[1].peer_logits.numpy()
    shares = np.exp(logits) / np.exp(logits).sum()
    expected = sorted(enumerate(shares), key=lambda pair: -pair[1])
    assert [node for node, _ in gate.peers] == [node for node, _ in expected]
    np.testing.assert_allclose([s for _, s in gate.peers], [s for _, s in expected], rtol=1e-5)


@pytest.mark.parametrize("gate", ["none", "static", "self"])
def test_other_gates_have_other_sources(clip, gate):
    gates = gate_values(network(gate=gate), clip)
    expected = {"none": [], "static": [()] * 5, "self": [((s, 1.0),) for s in (0, 0, 1, 2, 3)]}
    assert [g.peers for g in gates] == expected[gate]


def test_a_dilated_network_is_explained_on_any_processor(clip):
    """Some have no gradient for TensorFlow's dilated convolutions."""
    nodes = (Stem("rgb", 4), Block(1, (0,), 4, 2), Block(4, (1,), 8, 2))
    model = build_model(
        ModelSpec(num_classes=3, width_multiplier=0.1, gate="none"),
        Architecture("dilated", nodes, depth=26),
    )
    shown = attention_maps(model, {"rgb": clip["rgb"]}, 0, 1)["rgb"]
    assert np.isfinite(shown.values).all()


def test_the_export_tests_network_is_explained_too():
    """With objects, whose stem has no gradient into ids but has activations."""
    model = build_model(
        ModelSpec(num_classes=4, num_object_classes=5, width_multiplier=0.1), exports.ARCHITECTURE
    )
    generator = np.random.default_rng(0)
    clip = {
        "rgb": tf.zeros([1, 2, 16, 16, 3], tf.uint8),
        "flow": tf.zeros([1, 2, 16, 16, 2]),
        "objects": tf.constant(generator.integers(0, 5, (1, 2, 16, 16)).astype(np.uint8)),
    }
    explanation = explain(model, clip)
    assert set(explanation.maps) == {"rgb", "flow", "object"}
    assert set(explanation.drops) == {"rgb", "flow", "objects"}
