"""Optimizers of tensorflow-addons."""

import importlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.specs import OptimizerSpec, TrainSpec
from official_vision.training.optimizers import addons
from official_vision.training.optimizers.build import make_optimizer

if sys.version_info >= (3, 12):
    pytest.skip("tensorflow-addons is not made for it", allow_module_level=True)


@pytest.mark.parametrize("name", ["AdamW", "LAMB", "MovingAverage", "Lookahead", "RectifiedAdam"])
def test_they_fit_a_line(name):
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 3)).astype(np.float32)
    y = x @ np.float32([[1], [-2], [0.5]])
    weight = tf.Variable(0.1 * random.normal(size=(3, 1)).astype(np.float32), name="kernel")
    made = make_optimizer(
        OptimizerSpec(name=f"tfa:{name}", learning_rate=0.05, schedule="cosine"),
        TrainSpec(steps=100),
        64,
    )
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ weight - y) ** 2)
        made.apply_gradients([(tape.gradient(loss, weight), weight)])
        losses.append(float(loss))
    # LAMB's steps are no longer than the weights, which start small.
    assert losses[-1] < 0.6 * losses[0]
    assert made.iterations.numpy() == 60


def test_a_wrapper_keeps_the_average():
    weight = tf.Variable([0.0])
    made = addons.make_optimizer("MovingAverage", {"learning_rate": 1.0, "momentum": 0.0})
    for _ in range(3):
        made.apply_gradients([(tf.constant([-1.0]), weight)])
    # The average starts at the first value and keeps 0.99 of itself.
    assert weight.numpy()[0] == 3
    assert 0 < made.get_slot(weight, "average").numpy()[0] < 0.1


def test_mistakes_are_one_line(monkeypatch):
    with pytest.raises(UserError, match="Did you mean 'LAMB'"):
        addons.make_optimizer("LAMP", {})
    with pytest.raises(UserError, match=r"weight_decay.*tfa:LazyAdam"):
        addons.make_optimizer("LazyAdam", {"learning_rate": 0.1, "weight_decay": 0.1})

    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError) as raised:
        addons.make_optimizer("LAMB", {})
    assert "tensorflow-addons is needed" in str(raised.value)
    assert "\n" not in str(raised.value)
