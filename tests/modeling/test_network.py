"""The whole network: its graph decides the logits, and the port's defects stay away."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.architecture.zoo import load_architecture
from official_vision.modeling.flow import RepresentationFlow
from official_vision.modeling.inputs import input_signature
from official_vision.modeling.network import AssembleNet
from official_vision.specs import ModelSpec
from official_vision.training.step.losses import clip_losses, l2_penalty
from tests.modeling import small, twins


@pytest.fixture(scope="module")
def table_1() -> AssembleNet:
    # With seed 0 the maximum over frames hides a connection from these clips.
    return small.network(seed=1)


def labels(batch: int = 2) -> tf.Tensor:
    return tf.one_hot([i % small.CLASSES for i in range(batch)], small.CLASSES)


def loss_of(model: AssembleNet, features: dict[str, tf.Tensor]) -> tf.Tensor:
    logits = model(features, training=True)["logits"]
    batch = logits.shape[0]
    return tf.reduce_mean(clip_losses(logits, labels(batch), "sigmoid"))


def test_logits_are_the_greatest_of_any_frame(table_1: AssembleNet) -> None:
    outputs = table_1(small.clips(), training=False)
    assert outputs["frame_logits"].shape == (2, 4, small.CLASSES)
    assert outputs["logits"].dtype == tf.float32
    np.testing.assert_array_equal(outputs["logits"], np.max(outputs["frame_logits"], axis=1))
    assert np.std(outputs["logits"], axis=0).min() > 1e-3  # clips differ


def test_every_connection_of_table_1_carries_signal(table_1: AssembleNet) -> None:
    """Defect 2 of the port: 19 of the authors' 45 connections carried nothing."""
    features = small.clips()
    forward = tf.function(lambda: table_1(features, training=False)["logits"])
    before = forward().numpy()
    count = 0
    for index, block in table_1.blocks().items():
        variable = block.fusion.strength_logits
        original = variable.numpy()
        for position in range(len(original)):
            closed = original.copy()
            closed[position] = -80.0  # the sigmoid of which is 0
            variable.assign(closed)
            moved = np.abs(forward().numpy() - before).max()
            assert moved > 1e-4, (index, position)
            count += 1
        variable.assign(original)
    np.testing.assert_allclose(forward(), before, atol=1e-6)
    assert count == len(list(table_1.architecture.connections())) == 46


def test_every_connection_of_table_1_carries_gradient(table_1: AssembleNet) -> None:
    """To w, to h, and through each connection's convolution."""
    with tf.GradientTape() as tape:
        loss = loss_of(table_1, small.clips())
    groups = [
        (block.fusion.strength_logits, [gate.peer_logits for gate in block.gates])
        for block in table_1.blocks().values()
    ]
    for strengths, peers in tape.gradient(loss, groups):
        assert np.abs(strengths).min() > 1e-9
        for peer in peers:
            assert np.abs(peer).min() > 0
    kernels = [
        convolution.kernel
        for block in table_1.blocks().values()
        for convolution in block.fusion.convolutions.values()
    ]
    with tf.GradientTape() as tape:
        loss = loss_of(table_1, small.clips())
    for gradient in tape.gradient(loss, kernels):
        assert np.any(np.abs(gradient) > 1e-9)


def test_every_weight_of_table_1_is_reached_by_the_gradient(table_1: AssembleNet) -> None:
    variables = table_1.trainable_variables
    with tf.GradientTape() as tape:
        loss = loss_of(table_1, small.clips())
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None, variable.name
        assert np.all(np.isfinite(gradient)), variable.name


@pytest.mark.parametrize("stream", ["rgb", "flow", "objects"])
def test_every_stream_reaches_the_logits(table_1: AssembleNet, stream: str) -> None:
    """Defect 3 of the port: the object stream could not be reached."""
    features = small.clips()
    changed = {**features, stream: small.clips(seed=1)[stream]}
    moved = np.abs(small.logits(table_1, changed) - small.logits(table_1, features)).max()
    assert moved > 1e-3


def test_the_number_of_object_classes_is_the_settings() -> None:
    for classes in (3, 40):
        model = small.network(small.architecture(), num_object_classes=classes)
        stem = model.endpoints(small.clips())["2"]
        assert stem.shape[-1] == classes


def test_the_model_computes_flow() -> None:
    model = small.network(small.architecture(), flow_source="computed")
    assert model.streams == ("rgb", "objects")
    features = small.clips(streams=model.streams)
    fed = small.network(small.architecture())
    fed.set_weights(model.get_weights())
    flow = model.flow(features["rgb"])
    expected = small.logits(fed, {**features, "flow": flow})
    np.testing.assert_allclose(small.logits(model, features), expected, atol=1e-6)


def test_gate_none_gates_nothing() -> None:
    """Defect 4 of the port: 'None' was true, and single inputs were gated in any case."""
    graph = small.architecture()
    model = small.network(graph, gate="none")
    assert not [variable.name for variable in model.variables if "gate" in variable.name]
    assert all(list(block.gates) == [] for block in model.blocks().values())
    single = model.blocks()[6]
    ungated = model.endpoints(small.clips())
    expected = ungated["5"]
    for module in single.modules:
        expected = module(expected, 4)
    np.testing.assert_array_equal(ungated["6"], expected)


@pytest.mark.parametrize("gate", ["static", "self", "peer"])
def test_other_gates_gate_every_connection_single_inputs_too(gate: str) -> None:
    model = small.network(small.architecture(), gate=gate)
    counts = [
        (len(block.gates), len(block.fusion.input_channels)) for block in model.blocks().values()
    ]
    assert counts == [(2, 2), (3, 3), (2, 2), (1, 1)]
    features = small.clips()
    before = small.logits(model, features)
    for index, block in model.blocks().items():
        for position, layer in enumerate(block.gates):
            bias = layer.logits if gate == "static" else layer.dense.bias
            value = bias.numpy()
            bias.assign(value - 80)  # shut
            moved = np.abs(small.logits(model, features) - before).max()
            assert moved > 1e-4, (index, position)
            bias.assign(value)


def test_weight_decay_reaches_kernels_and_nothing_else(table_1: AssembleNet) -> None:
    """Defect 5 of the port: the regulariser was thrown away."""
    kernels = {id(kernel) for kernel in table_1.kernels()}
    with tf.GradientTape() as tape:
        penalty = l2_penalty(table_1.kernels(), 0.01)
    variables = table_1.trainable_variables
    words = ("gamma", "beta", "bias", "strength_logits", "peer_logits")
    for variable, gradient in zip(variables, tape.gradient(penalty, variables), strict=True):
        spared = any(word in variable.name for word in words)
        assert spared == (id(variable) not in kernels), variable.name
        if spared:
            assert gradient is None, variable.name
        else:
            np.testing.assert_allclose(gradient, 0.01 * variable.numpy(), rtol=1e-5)
    assert sum(variable.shape.rank >= 2 for variable in variables) == len(kernels)


def test_learned_connections_are_variables_that_are_saved_and_restored(tmp_path) -> None:
    """Defect 1 of the port: h was a random constant."""
    model = small.network(small.architecture())
    variables = model.architecture_variables()
    names = [variable.name for variable in variables]
    assert sum("strength_logits" in name for name in names) == 3  # one input has no strength
    assert sum("peer_logits" in name for name in names) == 8  # connections
    expected = small.logits(model, small.clips())
    path = tf.train.Checkpoint(model=model).write(str(tmp_path / "checkpoint"))
    other = small.network(small.architecture(), seed=1)
    assert np.abs(small.logits(other, small.clips()) - expected).max() > 0.1
    tf.train.Checkpoint(model=other).read(path).assert_consumed()
    for mine, restored in zip(variables, other.architecture_variables(), strict=True):
        np.testing.assert_array_equal(mine, restored)
    np.testing.assert_allclose(small.logits(other, small.clips()), expected, atol=1e-6)


def test_learned_connections_move_in_training() -> None:
    model = small.network(small.architecture())
    before = [variable.numpy() for variable in model.architecture_variables()]
    optimizer = tf_keras.optimizers.SGD(0.5)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = loss_of(model, small.clips())
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    for old, variable in zip(before, model.architecture_variables(), strict=True):
        if variable.shape[0] > 1:
            assert np.abs(variable.numpy() - old).min() > 0, variable.name


def test_frames_and_batch_are_free() -> None:
    """Defect 6 of the port: the frame count was baked in. One graph runs 8 and 16 frames."""
    model = small.network(small.architecture(), flow_source="computed")
    signature = input_signature(model.streams)
    traced = tf.function(lambda x: model(x, training=False), input_signature=[signature])
    for batch, frames, size in ((2, 8, 32), (1, 16, 32), (3, 1, 48)):
        features = small.clips(batch, frames, size, streams=model.streams)
        outputs, eager = traced(features), model(features, training=False)
        assert outputs["frame_logits"].shape == (batch, frames, small.CLASSES)
        tolerance = 1e-5 * np.abs(eager["frame_logits"]).max()
        np.testing.assert_allclose(outputs["frame_logits"], eager["frame_logits"], atol=tolerance)
    assert traced.experimental_get_tracing_count() == 1


def test_longer_clips_begin_like_shorter_ones() -> None:
    """Temporal kernels aside, a frame's logits don't depend on how many frames follow."""
    model = small.network(small.architecture())
    long = small.clips(1, 64)
    short = {name: stream[:, :48] for name, stream in long.items()}
    first = model(short, training=False)["frame_logits"][:, :8]
    np.testing.assert_allclose(model(long, training=False)["frame_logits"][:, :8], first, atol=1e-5)


def test_pooled_maps_and_averages_are_computed_once(table_1: AssembleNet) -> None:
    graph = (
        tf.function(table_1)
        .get_concrete_function(input_signature(table_1.streams, 1, 4, 32), training=False)
        .graph
    )
    pools = [node for node in graph.as_graph_def().node if node.op == "MaxPool"]
    plans = [plan for plan in table_1.plan if plan.fusion]
    pooled = {
        (source, ratio)
        for plan in plans
        for source, ratio in zip(plan.fusion.inputs, plan.fusion.pool_ratios, strict=True)
        if ratio > 1
    }
    assert len(pools) == 4 + len(pooled)  # two rgb and two flow stems pool too
    means = [node for node in graph.as_graph_def().node if node.op == "Mean"]
    candidates = {source for plan in plans for source in plan.candidates}
    assert len(means) == len(candidates) + 1  # and the head's


@pytest.mark.slow
def test_a_model_is_saved_and_loaded_whole(tmp_path) -> None:
    for streams, settings in (
        (("rgb", "flow", "objects"), {"frame_pooling": "softmax", "gate": "self"}),
        (("rgb", "objects"), {"flow_source": "computed"}),
    ):
        model = small.network(small.architecture(), **settings)
        features = small.clips(streams=streams)
        model.save(tmp_path / "model.keras")
        loaded = tf_keras.models.load_model(tmp_path / "model.keras")
        assert isinstance(loaded, AssembleNet)
        assert loaded.architecture == model.architecture
        assert loaded.spec == model.spec
        np.testing.assert_allclose(
            small.logits(loaded, features), small.logits(model, features), atol=1e-6
        )


@pytest.mark.slow
def test_forward_pass_compiles_with_xla() -> None:
    """Every kind of layer at static shapes, with computed flow; training/test_compiled_step.py compiles training."""
    model = small.network(small.architecture(), flow_source="computed")
    features = small.clips(1, 2, streams=model.streams)
    compiled = tf.function(model, jit_compile=True)(features, training=False)
    np.testing.assert_allclose(compiled["logits"], small.logits(model, features), atol=1e-3)


def test_mixed_bfloat16_trains() -> None:
    """The port's training step failed with a dtype error; float32 weights, logits near float32's."""
    exact = small.network(small.architecture())
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small.network(small.architecture())
        model.set_weights(exact.get_weights())
        features = small.clips()
        # Before the step below, which moves this model's averages of batch norm alone.
        actual, expected = small.logits(model, features), small.logits(exact, features)
        with tf.GradientTape() as tape:
            loss = loss_of(model, features)
        gradients = tape.gradient(loss, model.trainable_variables)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    assert {variable.dtype for variable in model.variables} == {tf.float32}
    assert all(gradient.dtype == tf.float32 for gradient in gradients)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=0.03 * np.abs(expected).max())


def test_half_precision_does_not_round_frames_before_the_flow_sees_them(monkeypatch) -> None:
    seen = []
    compute = RepresentationFlow.call
    monkeypatch.setattr(
        RepresentationFlow,
        "call",
        lambda self, rgb, *more: seen.append(rgb) or compute(self, rgb, *more),
    )
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small.network(small.architecture(), flow_source="computed")
        features = small.clips(streams=model.streams)
        features["rgb"] = 200.3 + tf.cast(features["rgb"], tf.float32) / 256
        model(features)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(seen[-1], features["rgb"])


@pytest.mark.parametrize("name", ["assemblenet_plus_plus_lite", "slowfast_50", "assemblenet_50"])
def test_other_networks_of_the_zoo_carry_signal(name: str) -> None:
    model = small.network(
        load_architecture(name).with_settings(26, 1 / 32), gate="self", depth=None
    )
    first, second = (small.clips(2, 2, seed=seed, streams=model.streams) for seed in (0, 1))
    assert np.abs(small.logits(model, first) - small.logits(model, second)).max() > 1e-4


def test_the_configuration_is_the_graph_and_the_settings() -> None:
    model = small.network(small.architecture(peers=True), frame_pooling="mean")
    again = AssembleNet.from_config(model.get_config())
    assert again.architecture == model.architecture
    assert again.spec == model.spec == ModelSpec.from_dict(model.spec.to_dict())


@pytest.mark.parametrize("training", [False, True])
def test_a_self_gate_reads_its_input_as_pooled_for_the_connection(training: bool) -> None:
    """The authors' rule: pool first, then average; each pooled map once, for all its readers."""
    model = small.network(small.architecture(), gate="self")
    features = small.clips()
    seen = {}
    for index, block in model.blocks().items():
        for position, gate in enumerate(block.gates):
            gate.dense.call = functools.partial(_noted, gate.dense.call, seen, (index, position))
    outputs = model.endpoints(features, training=training)
    pooled = 0
    for plan in model.plan:
        if plan.fusion is None:
            continue
        ratios = zip(plan.fusion.inputs, plan.fusion.pool_ratios, strict=True)
        for position, (source, ratio) in enumerate(ratios):
            x = outputs[str(source)].numpy()
            expected = twins.max_pool(x, ratio, ratio).mean(axis=(1, 2))
            np.testing.assert_allclose(seen[plan.index, position], expected, atol=1e-5)
            pooled += ratio > 1 and not np.allclose(expected, x.mean(axis=(1, 2)), atol=1e-3)
    assert pooled >= 1  # the other rule would give other numbers


def _noted(call, seen: dict, key: tuple[int, int], source: tf.Tensor) -> tf.Tensor:
    seen[key] = source.numpy()
    return call(source)


def test_rgb_is_scaled_by_the_models_settings() -> None:
    """Settings that undo each other's scale give the same logits."""
    model = small.network(small.architecture(), flow_source="stored")
    spec = dataclasses.replace(
        model.spec, rgb_mean=(0.3, 0.4, 0.5), rgb_deviation=(0.1, 0.12, 0.14)
    )
    other = AssembleNet(model.architecture, spec)
    other.make_weights()
    other.set_weights(model.get_weights())
    features = small.clips()
    rgb = tf.cast(features["rgb"], tf.float32)
    normalised = (rgb / 255 - 0.45) / 0.225
    fed = 255 * (normalised * np.float32([0.1, 0.12, 0.14]) + np.float32([0.3, 0.4, 0.5]))
    expected = model(features, training=False)["logits"]
    actual = other({**features, "rgb": fed}, training=False)["logits"]
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    assert np.abs(other(features, training=False)["logits"] - expected).max() > 1e-3
