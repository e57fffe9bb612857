"""On a task that one peer decides, that peer's h wins (issue: one-shot attention is learned)."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.modeling.builder import build_model
from official_vision.modeling.network import AssembleNet
from tests.modeling import small

OBJECT = 2


def gated_by_the_right_peer() -> Architecture:
    """Node 3 alone chooses its peer, and only its gate can bring objects to the output."""
    stems = (Stem("rgb", 4), Stem("flow", 3), Stem("object", 2))
    blocks = (
        Block(1, (0,), 2),
        Block(1, (1, OBJECT), 2, peers=(0, 0)),
        Block(2, (3, 4), 2, strengths=(0.999, 1e-9), peers=(0, 0)),
    )
    return Architecture("decided_by_objects", stems + blocks, depth=26)


def batch(random: np.random.Generator, count: int) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """The object decides which colour counts; the label is whether that colour is bright."""
    red, green, kind = random.integers(0, 2, (3, count))
    shape = (count, 1, 16, 16)
    colours = np.stack([60 + 140 * red, 60 + 140 * green, np.full(count, 128)], axis=-1)
    rgb = colours[:, None, None, None] + random.normal(0, 10, (*shape, 3))
    features = {
        "rgb": tf.constant(np.clip(rgb, 0, 255).astype(np.uint8)),
        "flow": tf.constant(random.normal(0, 2, (*shape, 2)).astype(np.float32)),
        "objects": tf.constant(np.broadcast_to(kind[:, None, None, None], shape).astype(np.uint8)),
    }
    return features, tf.constant(np.where(kind, green, red))


def train(model: AssembleNet, steps: int) -> None:
    random = np.random.default_rng(0)
    frozen = {id(block.fusion.strength_logits) for block in list(model.blocks().values())[1:]}
    variables = [variable for variable in model.trainable_variables if id(variable) not in frozen]
    optimizer = tf_keras.optimizers.Adam(0.02)
    optimizer.build(variables)

    @tf.function
    def step(features: dict[str, tf.Tensor], labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(features, training=True)["logits"]
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
            )
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    for _ in range(steps):
        step(*batch(random, 64))


@pytest.mark.slow
def test_the_right_peer_wins() -> None:
    tf_keras.utils.set_random_seed(0)
    settings = {"num_classes": 2, "num_object_classes": 2, "depth": None, "width_multiplier": 1.0}
    model = build_model(small.spec(**settings), gated_by_the_right_peer())
    (gate,) = model.blocks()[3].gates
    gate.peer_logits.assign([0.05, 0.05, -0.05])  # luck must not help
    train(model, 300)
    after = gate.peer_distribution().numpy()
    features, labels = batch(np.random.default_rng(1), 256)
    accuracy = np.mean(np.argmax(small.logits(model, features), axis=-1) == labels.numpy())
    # Without the objects no network gets more than 3 of 4.
    assert accuracy > 0.9
    assert np.argmax(after) == OBJECT
    assert after[OBJECT] > 0.5
