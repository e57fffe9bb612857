"""Schedules by hand, and what each setting does to variables."""

import re

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.specs import OptimizerSpec, TrainSpec
from official_vision.training.optimizers import build as optimization
from official_vision.training.optimizers.build import make_optimizer, scaled_learning_rate
from tests.modeling import small

STEPS = 100


def optimizer(train=None, batch_size=16, **settings):
    return make_optimizer(OptimizerSpec(**settings), train or TrainSpec(steps=STEPS), batch_size)


def rates(made, steps):
    rate = made.learning_rate
    return [float(rate(step)) if callable(rate) else float(rate) for step in steps]


def step(made, variables, gradients):
    made.apply_gradients([(tf.constant(g), v) for g, v in zip(gradients, variables, strict=True)])


def test_cosine():
    expected = [0.2 * (1 + np.cos(np.pi * t / STEPS)) / 2 for t in (0, 25, 50, 100)]
    made = optimizer(learning_rate=0.2)
    np.testing.assert_allclose(rates(made, (0, 25, 50, 100)), expected, atol=1e-7)


def test_constant():
    made = optimizer(learning_rate=0.2, schedule="constant")
    np.testing.assert_allclose(rates(made, (0, 50, 100)), 0.2)


def test_stepwise():
    made = optimizer(learning_rate=0.2, schedule="stepwise", boundaries=(30, 60))
    # Keras counts a boundary to the steps before it.
    np.testing.assert_allclose(
        rates(made, (0, 30, 31, 60, 61)), [0.2, 0.2, 0.02, 0.02, 0.002], rtol=1e-6
    )


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_warm_up_rises_linearly_to_the_schedule(schedule):
    made = optimizer(learning_rate=0.2, schedule=schedule, warmup_steps=10)
    after = {"constant": 0.2, "cosine": 0.2 * (1 + np.cos(np.pi * 10 / STEPS)) / 2}[schedule]
    actual = rates(made, (0, 5, 10))
    np.testing.assert_allclose(actual, [0, after / 2, after], rtol=1e-5)


def test_linear_scaling():
    spec = OptimizerSpec(learning_rate=0.1, reference_batch_size=64)
    assert scaled_learning_rate(spec, 256) == pytest.approx(0.4)
    assert rates(optimizer(learning_rate=0.1, reference_batch_size=64, batch_size=32), [0]) == [
        pytest.approx(0.05)
    ]
    assert scaled_learning_rate(OptimizerSpec(learning_rate=0.1), 256) == 0.1


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_clipping_takes_the_norm_over_all_variables(name):
    variables = [tf.Variable([0.0, 0.0]), tf.Variable([0.0])]
    made = optimizer(
        name=name, learning_rate=1.0, schedule="constant", gradient_clip_norm=2.5, momentum=0.0
    )
    step(made, variables, [[3.0, 0.0], [4.0]])  # norm 5: halved
    if name == "sgd":
        np.testing.assert_allclose(variables[0], [-1.5, 0], rtol=1e-6)
        np.testing.assert_allclose(variables[1], [-2.0], rtol=1e-6)
    else:  # the first moment is a tenth of the clipped gradient
        moments = [made.get_slot(variable, "m").numpy() for variable in variables]
        np.testing.assert_allclose(moments[0], [0.15, 0], rtol=1e-5)
        np.testing.assert_allclose(moments[1], [0.2], rtol=1e-5)


def test_nothing_is_clipped_unasked():
    for name in ("adamw", "sgd"):
        variable = tf.Variable([0.0])
        made = optimizer(name=name, learning_rate=1.0, schedule="constant", momentum=0.0)
        step(made, [variable], [[100.0]])
        if name == "sgd":
            assert variable.numpy()[0] == -100
        else:
            assert made.get_slot(variable, "m").numpy()[0] == pytest.approx(10)


def test_momentum():
    variable = tf.Variable([0.0])
    made = optimizer(learning_rate=0.1, schedule="constant", momentum=0.5)
    step(made, [variable], [[1.0]])
    step(made, [variable], [[1.0]])
    assert variable.numpy()[0] == pytest.approx(-0.1 - 0.1 * 1.5)


def test_moving_average_by_hand():
    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable([0.0])

    toy = Model()
    made = optimizer(learning_rate=1.0, schedule="constant", momentum=0.0, ema_decay=0.5)
    made.shadow_copy(toy)
    average, value = 0.0, 0.0
    for number in range(1, 9):
        step(made, [toy.weight], [[-1.0]])
        value += 1
        decay = min(0.5, (1 + number) / (10 + number))  # Model Garden's: quicker at first
        average = decay * average + (1 - decay) * value
    assert toy.weight.numpy()[0] == pytest.approx(value)
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        made.swap_weights()
        assert toy.weight.numpy()[0] == pytest.approx(average, rel=1e-5)
        made.swap_weights()
    assert toy.weight.numpy()[0] == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("gate", ["none", "static", "self", "peer"])
def test_names_exclude_all_but_kernels_from_decay(gate):
    settings = {"gate": gate, "frame_pooling": "softmax", "depth": None, "width_multiplier": 1.0}
    model = small.build_model(small.spec(**settings), small.architecture())
    patterns = optimization._NOT_KERNELS
    decayed = {
        v.name
        for v in model.trainable_variables
        if not any(re.search(pattern, v.name) for pattern in patterns)
    }
    assert decayed == {v.name for v in model.kernels()}
    assert len(decayed) > 20


@pytest.mark.parametrize("name", ["adamw", "lamb", "lars", "tfa:AdamW", "tfa:SGDW", "tfa:LAMB"])
def test_decoupled_decay_shrinks_kernels_alone(name):
    names = (
        "node_03/convolution/kernel",
        "node_03/norm/gamma",
        "node_03/norm/beta",
        "head/classifier/bias",
        "node_04/fusion/strength_logits",
        "node_04/gate_0_4/peer_logits",
        "node_04/gate_0_4/logits",
    )
    variables = [tf.Variable([1.0, -2.0], name=name) for name in names]
    made = optimizer(
        name=name, learning_rate=0.1, schedule="constant", decay="decoupled", weight_decay=0.5
    )
    step(made, variables, [[0.0, 0.0]] * len(variables))
    kernel, *others = (variable.numpy() for variable in variables)
    assert 0 < kernel[0] < 1
    assert -2 < kernel[1] < 0
    for other in others:
        assert other.tolist() == [1, -2]
    if name in ("adamw", "tfa:AdamW", "tfa:SGDW"):
        # Addons' decay is not multiplied by the learning rate.
        share = 0.5 * (0.1 if name == "adamw" else 1.0)
        np.testing.assert_allclose(kernel, np.float32([1, -2]) * (1 - share), rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "sgd",
        "adam",
        "adamw",
        "rmsprop",
        "adagrad",
        "lamb",
        "lars",
        "sgd_experimental",
        "adam_experimental",
        "adamw_experimental",
    ],
)
def test_penalised_optimizers_do_not_decay_again(name):
    kernel = tf.Variable([[1.0, -2.0]], name="kernel")
    made = optimizer(name=name, learning_rate=0.1, weight_decay=0.5)
    step(made, [kernel], [[[0.0, 0.0]]])
    assert kernel.numpy().tolist() == [[1, -2]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "adamv"}, "Did you mean 'adam"),
        ({"name": "sgd", "decay": "decoupled"}, "adamw, lamb, lars"),
        ({"name": "adafactor"}, "that Model Garden can make"),
        ({"name": "adam_experimental", "ema_decay": 0.9}, "without _experimental"),
        ({"warmup_steps": STEPS}, "OptimizerSpec.warmup_steps must end within TrainSpec.steps"),
        ({"schedule": "stepwise"}, "OptimizerSpec.boundaries must be rising"),
        ({"schedule": "stepwise", "boundaries": (5, 5)}, "rising"),
        ({"name": "tfa:LAMB", "ema_decay": 0.9}, "OptimizerSpec.ema_decay"),
        ({"name": "tfa:LAMB", "gradient_clip_norm": 1.0}, "OptimizerSpec.gradient_clip_norm"),
        (
            {"ema_decay": 0.9, "train": TrainSpec(precision="mixed_float16")},
            "mixed_bfloat16",
        ),
    ],
)
def test_mistakes_are_one_line(settings, words):
    with pytest.raises(UserError) as raised:
        optimizer(**settings)
    assert words in str(raised.value)
    assert "Received:" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_float16_scales_the_loss():
    made = optimizer(train=TrainSpec(steps=STEPS, precision="mixed_float16"))
    assert float(made.get_scaled_loss(tf.constant(1.0))) > 1
