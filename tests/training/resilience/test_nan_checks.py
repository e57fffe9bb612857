"""The step that broke, the cause and the videos; several replicas are distinguished."""

from __future__ import annotations

import math

import pytest
import tensorflow as tf

from official_vision.training.resilience.nan_checks import Breakdown, FiniteWatch


def looked(watch, losses, gradients, weights=(), stop=False, step=10):
    for number, (loss, gradient) in enumerate(zip(losses, gradients, strict=True)):
        videos = tf.constant([2 * number, 2 * number + 1])
        watch.observe(tf.constant(loss), [None, tf.constant([1.0, gradient])], videos)
    return watch.look(tf.distribute.get_strategy(), step, weights, stop)


@pytest.mark.parametrize(
    ("losses", "gradients", "expected"),
    [
        ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], None),
        ([1.0, math.nan, math.nan], [0.0, 0.0, 0.0], Breakdown(9, "the loss", (2, 3))),
        ([1.0, 2.0, math.inf], [0.0, 0.0, 0.0], Breakdown(10, "the loss", (4, 5))),
        ([1.0, 2.0, math.nan], [math.nan, 0, 0], Breakdown(8, "the gradients", (0, 1))),
    ],
)
def test_the_first_broken_step_is_reported(losses, gradients, expected):
    watch = FiniteWatch(2)
    assert looked(watch, losses, [float(g) for g in gradients]) == (expected, False)
    # The next loop starts anew.
    assert looked(watch, [1.0], [0.0]) == (None, False)


def test_weights_and_the_wish_to_stop():
    weights = [tf.Variable([1.0, math.inf])]
    broken, is_stopping = looked(FiniteWatch(2), [1.0], [0.0], weights, stop=True)
    assert broken == Breakdown(None, "the weights", ())
    assert is_stopping


def test_filling_is_not_named():
    watch = FiniteWatch(2)
    watch.observe(tf.constant(math.nan), (), tf.constant([7, -1]))
    broken, _ = watch.look(tf.distribute.get_strategy(), 1, (), False)
    assert broken == Breakdown(1, "the loss", (7,))
