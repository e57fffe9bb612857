"""Layers with a time axis in somebody else's functional model, against the network's layers and numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import official_vision as ov
from tests.modeling import small, twins

BATCH, FRAMES, SIZE, OBJECTS = 2, 3, 16, 6


def maps(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> tf_keras.Model:
    """Each layer once: two streams that gate each other, fused, and a classifier."""
    rgb = tf_keras.Input([None, SIZE, SIZE, 3], dtype="uint8", name="rgb")
    flow = tf_keras.Input([None, SIZE, SIZE, 2], name="flow")
    ids = tf_keras.Input([None, SIZE, SIZE], dtype="uint8", name="objects")
    objects = ov.layers.ObjectStem(OBJECTS)(ids)
    colour = ov.layers.RgbStem(6, temporal_dilation=2)(rgb)
    motion = ov.layers.FlowStem(4)(flow)
    colour = ov.layers.SelfGate()(colour)
    motion = ov.layers.PeerGate()([motion, colour])
    gated = ov.layers.PeerAttentionGate()([colour, motion, objects])
    deeper = ov.layers.Bottleneck2D(2, stride=2)(motion)
    deeper = ov.layers.Bottleneck2Plus1D(2, temporal_dilation=2)(deeper)
    deeper = ov.layers.StaticGate()(deeper)
    fused = ov.layers.WeightedFusion(5, name="fusion")([gated, deeper, objects])
    fused = ov.layers.InvertedBottleneck((4, 4, 5))(fused)
    logits = ov.layers.ClassificationHead(small.CLASSES)(fused)
    tf_keras.utils.set_random_seed(0)
    return tf_keras.Model({"rgb": rgb, "flow": flow, "objects": ids}, logits)


def test_a_functional_model_trains_and_is_the_same_when_loaded(model, tmp_path) -> None:
    features = small.clips(4, FRAMES, SIZE)
    features["objects"] = tf.cast(features["objects"] % OBJECTS, tf.uint8)
    data = tf.data.Dataset.from_tensor_slices((features, np.arange(4))).batch(BATCH)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(tf_keras.optimizers.Adam(0.01), loss)
    before = model.get_weights()
    losses = model.fit(data, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    still = [
        variable.name
        for variable, old in zip(model.weights, before, strict=True)
        if variable.trainable and np.array_equal(variable.numpy(), old)
    ]
    assert not still, "a weight that no gradient reaches"
    model.save(tmp_path / "model.keras")
    loaded = tf_keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(features), model.predict(features), atol=1e-6)
    strengths = loaded.get_layer("fusion").learned_strengths()
    np.testing.assert_allclose(strengths, model.get_layer("fusion").learned_strengths())


def test_modules_compute_what_the_network_s_do() -> None:
    x = maps(BATCH, FRAMES, 5, 5, 8)
    layer = ov.layers.Bottleneck2Plus1D(3, stride=2, middle_channels=4, temporal_dilation=2)
    y = layer(x, training=True)
    inner = layer.module(x.reshape(-1, 5, 5, 8), FRAMES, training=True)
    assert y.shape == (BATCH, FRAMES, 3, 3, 12)
    np.testing.assert_allclose(tf.reshape(y, inner.shape), inner, atol=1e-6)
    assert layer.module.projects
    same = ov.layers.Bottleneck2D(2)
    # The last batch norm's scale starts at 0: a module without a projection begins as ReLU.
    np.testing.assert_allclose(same(x), np.maximum(x, 0))
    assert not same.module.projects


@pytest.mark.parametrize("number", [0, 1])
def test_gates_scale_channels_frame_by_frame(number: int) -> None:
    x, peer = maps(BATCH, FRAMES, 4, 4, 3), maps(BATCH, FRAMES, 2, 2, 5, seed=1)
    layer = [ov.layers.SelfGate(), ov.layers.PeerGate()][number]
    inputs = [x, [x, peer]][number]
    y = layer(inputs)
    twins.randomise(layer)
    y = layer(inputs)
    source = [x, peer][number].mean(axis=(2, 3))
    kernel, bias = (v.numpy() for v in layer.trainable_variables)
    opened = 1 / (1 + np.exp(-(source @ kernel + bias)))
    np.testing.assert_allclose(y, x * opened[:, :, np.newaxis, np.newaxis], atol=1e-6)


def test_attention_over_peers_follows_its_distribution() -> None:
    x = maps(1, FRAMES, 4, 4, 3)
    peers = [maps(1, FRAMES, 2, 2, 5, seed=seed) for seed in (1, 2)]
    layer = ov.layers.PeerAttentionGate()
    layer([x, *peers])
    twins.randomise(layer)
    y = layer([x, *peers])
    shares = layer.peer_distribution().numpy()
    assert shares.sum() == pytest.approx(1)
    mixed = sum(share * peer.mean(axis=(2, 3)) for share, peer in zip(shares, peers, strict=True))
    dense = layer.gate.dense
    opened = 1 / (1 + np.exp(-(mixed @ dense.kernel.numpy() + dense.bias.numpy())))
    np.testing.assert_allclose(y, x * opened[:, :, np.newaxis, np.newaxis], atol=1e-5)


def test_fusion_pools_convolves_and_weighs() -> None:
    fine, coarse = maps(1, FRAMES, 4, 4, 2), maps(1, FRAMES, 2, 2, 3, seed=1)
    layer = ov.layers.WeightedFusion(3, strengths=(0.25, 0.75))
    y = layer([fine, coarse])
    kernel = layer.trainable_variables[-1].numpy()[0, 0]
    pooled = fine.reshape(1, FRAMES, 2, 2, 2, 2, 2).max(axis=(3, 5))
    np.testing.assert_allclose(y, 0.25 * pooled @ kernel + 0.75 * coarse, atol=1e-5)


def test_object_stem_keeps_ids_apart() -> None:
    ids = np.full((1, 2, 5, 4), 255, np.uint8)
    ids[0, 1, 0, 3], ids[0, 1, 4, 0] = 2, 5
    y = ov.layers.ObjectStem(OBJECTS, dtype="mixed_bfloat16")(ids).numpy().astype(float)
    expected = np.zeros((1, 2, 2, 1, OBJECTS))
    expected[0, 1, 0, 0, 2] = expected[0, 1, 1, 0, 5] = 1
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: ov.layers.Bottleneck2D(2)(maps(2, 4, 4, 3)), "batch, time, height, width"),
        (lambda: ov.layers.WeightedFusion(2)([maps(1, 1, 2, 2, 2)]), "two maps or more"),
        (
            lambda: ov.layers.WeightedFusion(2)([maps(1, 1, 5, 5, 2), maps(1, 1, 2, 2, 2)]),
            "one whole number",
        ),
    ],
)
def test_wrong_shapes_are_named(call, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        call()
