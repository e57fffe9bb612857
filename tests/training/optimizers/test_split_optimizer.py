"""Two optimizers in one: which moves what, by hand; clipping, skipped steps, checkpoints."""

import dataclasses
import sys

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.specs import OptimizerSpec, TrainSpec
from official_vision.training.optimizers.build import make_optimizer
from official_vision.training.optimizers.split_optimizer import SplitOptimizer
from official_vision.training.optimizers.weight_averages import exchange_addon_averages
from tests.modeling import small

SGD = OptimizerSpec(name="sgd", learning_rate=0.1, schedule="constant", momentum=0.0)


def optimizer(network=SGD, train=None, **architecture):
    """By default the architecture variables' differs by its rate alone, ten times the network's."""
    other = dataclasses.replace(network, **{"learning_rate": 1.0, **architecture})
    return make_optimizer(network, train or TrainSpec(steps=100), 16, other)


def variables():
    names = ("node/convolution/kernel", "node/fusion/strength_logits", "node/gate/peer_logits")
    return [tf.Variable([1.0, 1.0], name=name) for name in names]


def step(made, moved, gradients):
    made.apply_gradients([(tf.constant(g), v) for g, v in zip(gradients, moved, strict=True)])


def test_equal_settings_make_one_optimizer():
    assert not isinstance(make_optimizer(SGD, TrainSpec(), 16, SGD), SplitOptimizer)


def test_each_group_moves_at_its_rate():
    moved = variables()
    step(optimizer(), moved, [[1.0, 0.0]] * 3)
    np.testing.assert_allclose(moved[0], [0.9, 1.0], rtol=1e-6)
    np.testing.assert_allclose(moved[1], [0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(moved[2], [0.0, 1.0], atol=1e-6)


def test_each_has_its_kind_and_schedule():
    moved = variables()
    made = optimizer(
        dataclasses.replace(SGD, schedule="cosine"),
        name="adam",
        schedule="constant",
        warmup_steps=4,
    )
    expected, first, second = np.ones(2), np.zeros(2), np.zeros(2)
    gradient = np.array([0.5, -2.0])
    for number in range(1, 4):
        step(made, moved, [gradient.astype(np.float32)] * 3)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        rate = (number - 1) / 4  # still warming up
        corrected = (first / (1 - 0.9**number), second / (1 - 0.999**number))
        expected = expected - rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-7)
    np.testing.assert_allclose(moved[2], expected, rtol=1e-5)
    rates = [0.1 * (1 + np.cos(np.pi * t / 100)) / 2 for t in range(3)]
    np.testing.assert_allclose(moved[0], 1 - sum(rates) * gradient, rtol=1e-6)
    assert float(made.learning_rate(made.iterations)) < 0.1
    assert float(made.architecture_learning_rate(made.iterations)) == pytest.approx(0.75)


@pytest.mark.parametrize("names", [("adam_experimental", "sgd"), ("tfa:AdamW", "tfa:LAMB")])
def test_any_two_optimizers_go_together(names):
    moved = variables()
    made = optimizer(dataclasses.replace(SGD, name=names[0]), name=names[1], learning_rate=0.01)
    for _ in range(2):
        step(made, moved, [[1.0, 1.0]] * 3)
    assert all(value.numpy().max() < 1 for value in moved)
    assert made.iterations.numpy() == 2


def test_the_norm_is_of_all_gradients_together():
    moved = variables()
    made = optimizer(dataclasses.replace(SGD, gradient_clip_norm=2.5))
    step(made, moved, [[3.0, 0.0], [4.0, 0.0], [0.0, 0.0]])  # norm 5: halved
    np.testing.assert_allclose(moved[0], [1 - 0.15, 1], rtol=1e-6)
    np.testing.assert_allclose(moved[1], [1 - 2.0, 1], rtol=1e-6)


def test_the_moving_average_covers_both():
    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.all = variables()

    toy = Model()
    made = optimizer(dataclasses.replace(SGD, ema_decay=0.5))
    made.shadow_copy(toy)
    for _ in range(2):
        step(made, toy.all, [[1.0, 1.0]] * 3)
    for moved, values in ((toy.all[0], [0.9, 0.8]), (toy.all[2], [0.0, -1.0])):
        average = 0.0
        for number, value in enumerate(values, start=1):
            decay = min(0.5, (1 + number) / (10 + number))
            average = decay * average + (1 - decay) * value
        np.testing.assert_allclose(made.get_slot(moved, "average"), [average] * 2, rtol=1e-5)
    assert float(made.learning_rate(made.iterations)) == pytest.approx(0.1)


def test_an_overflow_moves_neither_and_both_schedules_go_on():
    moved = variables()
    made = optimizer(train=TrainSpec(steps=100, precision="mixed_float16"), name="adam")
    scale = float(made.loss_scale)

    @tf.function
    def scaled_step(gradient):
        # As the training step does: the gradients of a scaled loss, unscaled.
        gradients = made.get_unscaled_gradients([made.get_scaled_loss(gradient)] * 3)
        made.apply_gradients(zip(gradients, moved, strict=True))

    scaled_step(tf.constant([1.0, 1.0]))
    before = [value.numpy() for value in moved]
    scaled_step(tf.constant([1.0, np.inf]))
    for value, unmoved in zip(moved, before, strict=True):
        np.testing.assert_array_equal(value, unmoved)
    assert float(made.loss_scale) == scale / 2
    scaled_step(tf.constant([1.0, 1.0]))
    inner = made.inner_optimizer
    assert inner._architecture.iterations.numpy() == inner._network.iterations.numpy() == 3
    np.testing.assert_allclose(moved[0], [0.8, 0.8], rtol=1e-6)


def test_a_network_is_split_into_w_and_h_and_the_rest():
    model = small.network(small.architecture())
    of_architecture = {v.ref() for v in model.architecture_variables()}
    before = [v.numpy() for v in model.trainable_variables]
    made = optimizer(learning_rate=0.2)
    gradients = [tf.ones_like(v) for v in model.trainable_variables]
    made.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    assert len(of_architecture) == 3 + 8  # blocks that fuse, connections that are gated
    for variable, old in zip(model.trainable_variables, before, strict=True):
        expected = 0.2 if variable.ref() in of_architecture else 0.1
        np.testing.assert_allclose(old - variable.numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_decay", 0.5),
        ("ema_decay", 0.9),
        ("gradient_clip_norm", 1.0),
        ("decay", "decoupled"),
    ],
)
def test_settings_of_all_weights_take_no_scope(name, value):
    with pytest.raises(UserError) as raised:
        optimizer(**{name: value})
    assert f"architecture/OptimizerSpec.{name}" in str(raised.value)
    assert "Received:" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tensorflow-addons is not made for it")
@pytest.mark.parametrize("side", ["network", "architecture"])
def test_an_addons_average_of_either_is_exchanged_with_only_its_weights(side):
    wrapper = dataclasses.replace(SGD, name="tfa:MovingAverage", learning_rate=1.0)
    pair = (wrapper, SGD) if side == "network" else (SGD, wrapper)
    made = make_optimizer(pair[0], TrainSpec(steps=100), 16, pair[1])
    moved = variables()
    for _ in range(2):
        step(made, moved, [[1.0, 0.0]] * 3)
    before = [variable.numpy() for variable in moved]
    exchange_addon_averages(made, moved)
    averaged = [0] if side == "network" else [1, 2]
    for number, (variable, raw) in enumerate(zip(moved, before, strict=True)):
        if number in averaged:  # 1, after each step .99 of itself and .01 of 0 and of -1
            np.testing.assert_allclose(variable, [0.99 * 0.99 - 0.01, 1.0], rtol=1e-5)
        else:
            np.testing.assert_array_equal(variable, raw)
    exchange_addon_averages(made, moved)
    for variable, raw in zip(moved, before, strict=True):
        np.testing.assert_array_equal(variable, raw)


def test_a_checkpoint_holds_both(tmp_path):
    """Restored half way, in a new process's order: the optimizer first, its slots when they are made."""
    adam = {"name": "adam", "learning_rate": 0.1}
    network = dataclasses.replace(SGD, momentum=0.9, ema_decay=0.9)

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.all = variables()

    def begin():
        toy, made = Model(), optimizer(network, **adam)
        made.shadow_copy(toy)
        return toy, made, tf.train.Checkpoint(model=toy, optimizer=made)

    toy, made, checkpoint = begin()
    step(made, toy.all, [[1.0, -2.0]] * 3)
    path = checkpoint.save(str(tmp_path / "half"))
    step(made, toy.all, [[0.5, 1.0]] * 3)
    again, other, fresh = begin()
    fresh.restore(path)
    step(other, again.all, [[0.5, 1.0]] * 3)
    for expected, actual in zip(toy.all, again.all, strict=True):
        np.testing.assert_array_equal(actual, expected)
        np.testing.assert_array_equal(
            other.get_slot(actual, "average"), made.get_slot(expected, "average")
        )
    slots = [name for name, _ in tf.train.list_variables(path) if "architecture/m/" in name]
    assert [name.split("/.")[0] for name in sorted(slots)] == ["model/all/1", "model/all/2"]
