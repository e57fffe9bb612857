"""ModelSpec -> network: settings reach it, and its graph stays small."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.architecture.zoo import load_architecture
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model, resolve_architecture
from official_vision.modeling.inputs import input_signature
from official_vision.specs import ModelSpec
from tests.modeling import small


def test_depth_and_width_reach_the_graph() -> None:
    graph = resolve_architecture(ModelSpec(depth=101, width_multiplier=0.5))
    assert (graph.depth, graph.width_multiplier) == (101, 0.5)
    assert resolve_architecture(ModelSpec()) == load_architecture("assemblenet_plus_plus_50")


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(UserError, match="assemblenet_plus_plus_50"):
        build_model(ModelSpec(architecture="assemblenet_plus_50"))


def test_a_graph_is_built_as_it_is() -> None:
    model = build_model(small.spec(depth=101, width_multiplier=7.0), small.architecture())
    assert model.architecture == small.architecture()


def test_table_1_has_the_papers_convolutions() -> None:
    """9, 12, 18 and 9 a block at levels 1 to 4 (A.1), and a graph a third of the port's 10 900 nodes."""
    model = build_model(small.spec(depth=50))
    kinds = {
        model.plan[index].level: [type(module).__name__ for module in block.modules]
        for index, block in model.blocks().items()
    }
    assert {level: 3 * len(modules) for level, modules in kinds.items()} == {
        1: 9,
        2: 12,
        3: 18,
        4: 9,
    }
    for modules in kinds.values():
        assert set(modules[::2]) == {"ResidualModule2D"}
        assert set(modules[1::2]) == {"ResidualModule2Plus1D"}
    signature = input_signature(model.streams, 1, 16, 64)
    traced = tf.function(model).get_concrete_function(signature, training=False)
    assert len(traced.graph.as_graph_def().node) < 4000


def test_settings_reach_the_network() -> None:
    spec = small.spec(
        depth=None,
        width_multiplier=1.0,
        num_classes=9,
        num_object_classes=11,
        frame_pooling="softmax",
        dropout_rate=0.25,
        flow_source="computed",
        flow_iterations=6,
    )
    model = build_model(spec, small.architecture())
    assert model.head.frame_pooling == "softmax"
    assert model.head.dropout.rate == 0.25
    assert model.flow.iterations == 6
    assert model.node_layers["2"].num_object_classes == 11
    outputs = model(small.clips(1, 2, streams=model.streams))
    assert outputs["logits"].shape == (1, 9)


def test_all_weights_are_there_before_any_clip_and_the_seed_decides_them() -> None:
    first, again, other = [], [], []
    for seed, weights in ((3, first), (3, again), (4, other)):
        tf_keras.utils.set_random_seed(seed)
        model = build_model(small.spec(depth=None, width_multiplier=1.0), small.architecture())
        weights += model.get_weights()
        model(small.clips())
        assert len(model.weights) == len(weights)
    assert all(np.array_equal(weight, same) for weight, same in zip(first, again, strict=True))
    assert not all(np.array_equal(weight, same) for weight, same in zip(first, other, strict=True))


def test_a_fresh_network_is_quiet() -> None:
    """Strengths and gates near a half, peers near even, residual branches at 0."""
    model = build_model(small.spec(depth=None, width_multiplier=1.0), small.architecture())
    for variable in model.architecture_variables():
        wanted = np.log([0.3, 0.6, 0.8]) - np.log([0.7, 0.4, 0.2])
        is_strength = variable.shape == (3,) and "node_04/fusion" in variable.name
        np.testing.assert_allclose(variable, wanted if is_strength else 0, atol=0.06)
    scales = [v for v in model.trainable_variables if "last_norm/gamma" in v.name]
    assert len(scales) == 8
    assert not any(np.any(scale) for scale in scales)
