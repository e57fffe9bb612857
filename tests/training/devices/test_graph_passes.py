"""TensorFlow's passes over graphs: off within, afterwards as they were."""

import pytest
import tensorflow as tf

from official_vision.training.devices import graph_passes


def options():
    return tf.config.optimizer.get_experimental_options()


@pytest.mark.parametrize("by_user", [False, True])
def test_all_are_off_within_and_afterwards_as_the_user_had_them(by_user):
    by_user_options = {"loop_optimization": False, "disable_meta_optimizer": by_user}
    tf.config.optimizer.set_experimental_options(by_user_options)
    try:
        with graph_passes.left_out():
            inside = options()
        after = options()
    finally:
        tf.config.optimizer.set_experimental_options(
            {"loop_optimization": True, "disable_meta_optimizer": False}
        )
    assert inside["disable_meta_optimizer"]
    assert after == inside | by_user_options


def test_a_graph_computes_the_same_without_them():
    step = tf.function(lambda x: tf.reduce_sum((x + 0.0) * 2.0 * tf.constant(3.0)))
    x = tf.range(5.0)
    with graph_passes.left_out():
        total = step(x)
    assert float(total) == 60.0
