"""Norms of gradients and updates: those that numpy computes of a tape's gradients and of weights before and after."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from official_vision.training.devices import graph_passes
from official_vision.training.step.update_norms import UpdateNorms
from tests.training import runs, steps

NODES = ("stem_rgb", "stem_flow", "stem_object", "level_1", "level_2")  # of runs.architecture()
GROUPS = {"stem_rgb", "stem_flow", "level_1", "level_2", "head", "strengths", "peers"}


def group(name: str) -> str:
    """By the names in this architecture's file, whose nodes are in this order."""
    if name.endswith("strength_logits"):
        return "strengths"
    if name.endswith("peer_logits"):
        return "peers"
    return NODES[int(name[5:7])] if name.startswith("node_") else "head"


def norms(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Norm by group of arrays by the names of their weights."""
    squares: dict[str, float] = {}
    for name, value in values.items():
        square = float((value.astype(np.float64) ** 2).sum())
        for key in (group(name), "all"):
            squares[key] = squares.get(key, 0.0) + square
    return {key: square**0.5 for key, square in squares.items()}


def taped(task, inputs):
    """Gradients of the whole batch by name, computed without the task's step, of a network as `steps.start` makes."""
    model, _ = steps.start(task)
    features, targets = inputs
    with tf.GradientTape() as tape:
        logits = tf.cast(model(features, training=True)["logits"], tf.float32)
        log_probabilities = tf.nn.log_softmax(logits)
        losses = -tf.reduce_sum(targets["labels"] * log_probabilities, axis=1)
        loss = tf.reduce_sum(losses * targets["mask"]) / tf.reduce_sum(targets["mask"])
        if decay := task.config.optimizer.weight_decay:
            kernels = [v for v in task.trained if v.name.endswith("kernel:0")]
            loss += decay / 2 * tf.add_n([tf.reduce_sum(kernel**2) for kernel in kernels])
    gradients = tape.gradient(loss, task.trained)
    pairs = zip(task.trained, gradients, strict=True)
    return {steps.name_of(v): tf.convert_to_tensor(g).numpy() for v, g in pairs}


def measured(task, inputs):
    """Figures of one step, as a graph; and the trained weights before and after it."""
    model, optimizer = steps.start(task)
    task.norms = UpdateNorms(task.trained, task.architecture, 1)
    names = [steps.name_of(variable) for variable in task.trained]
    before = {name: v.numpy() for name, v in zip(names, task.trained, strict=True)}
    with task.norms.measuring(), graph_passes.left_out():
        tf.function(lambda: task.train_step(inputs, model, optimizer)[task.loss])()
    after = {name: v.numpy() for name, v in zip(names, task.trained, strict=True)}
    return task.norms.figures(), before, after


def check_updates(figures, before, after, **by):
    lengths = norms(before)
    for name, change in norms({n: after[n] - before[n] for n in before}).items():
        assert figures[f"update_ratio/{name}"] == pytest.approx(change / lengths[name], **by)


@pytest.mark.parametrize(
    ("other", "settings"),
    [
        ({}, {"weight_decay": 0.05}),
        pytest.param(
            {"name": "adam", "learning_rate": 0.01},
            {"ema_decay": 0.9, "gradient_clip_norm": 0.5},
            marks=pytest.mark.slow,
        ),
        pytest.param({}, {"frozen": ("node_00", "head")}, marks=pytest.mark.slow),
    ],
)
def test_norms_are_those_of_numpy(other, settings):
    """With decay in the loss; two optimizers, clipping and a moving average; frozen layers."""
    inputs = steps.batch()
    settings = {"weight_decay": 0.0, "precise_batch_norm_batches": 0, **settings}
    figures, before, after = measured(steps.make_task(other, **settings), inputs)
    expected = norms(taped(steps.make_task(other, **settings), inputs))
    frozen = {"stem_rgb", "head"} if "frozen" in settings else set()
    assert {*expected} == GROUPS - frozen | {"all"}
    assert figures.keys() == {
        f"{kind}/{g}" for kind in ("gradient_norm", "update_ratio") for g in expected
    }
    for name, value in expected.items():
        assert figures[f"gradient_norm/{name}"] == pytest.approx(value, rel=2e-4), name
    check_updates(figures, before, after, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"accumulation_steps": 2}, {"precision": "mixed_float16"}, {"precision": "mixed_bfloat16"}],
)
def test_parts_and_precisions_give_the_norms_of_the_whole_batch_in_float32(settings):
    """Without batch statistics, which parts have of fewer rows. Half precisions round: by 1 % at most."""
    plain = {"frozen": steps.NO_BATCH_STATISTICS, "weight_decay": 0.0}
    inputs = steps.batch()
    exact, _, _ = measured(steps.make_task(**plain), inputs)
    figures, before, after = measured(steps.make_task(**plain, **settings), inputs)
    by = 0.03 if "precision" in settings else 1e-4
    for name, value in exact.items():
        assert figures[name] == pytest.approx(value, rel=by), name
    check_updates(figures, before, after, rel=1e-3)


def test_weights_that_are_zero_have_no_ratio_and_are_passed_over_without_gradient():
    weight, unused = (
        tf.Variable(tf.zeros([2]), name=f"net/{name}") for name in ("head/a", "node_00/b")
    )
    measuring = UpdateNorms([weight, unused], runs.architecture(), 1)
    optimizer = tf.keras.optimizers.legacy.SGD(0.5)
    unused.assign([3.0, 4.0])
    measuring.apply(optimizer, [(tf.constant([3.0, 4.0]), weight), (None, unused)])
    figures = measuring.figures()
    assert np.isnan(figures.pop("update_ratio/head"))
    assert figures == {
        "gradient_norm/head": 5.0,
        "gradient_norm/stem_rgb": 0.0,
        "gradient_norm/all": 5.0,
        "update_ratio/stem_rgb": 0.0,
        "update_ratio/all": 0.5,  # |(-1.5, -2)| of |(3, 4)|
    }


def test_loops_are_measured_that_reach_a_multiple_of_the_period():
    measuring = UpdateNorms([tf.Variable(1.0, name="net/head/a")], runs.architecture(), 6)
    loops = [(0, 4), (4, 8), (8, 10), (10, 12), (12, 13)]
    assert [measuring.is_due(*loop) for loop in loops] == [False, True, False, True, False]
