"""TensorFlow's passes over graphs: off within, afterwards as they were."""

import tensorflow as tf

from official_vision.training import graph_passes


def options():
    return tf.config.optimizer.get_experimental_options()


def test_passes_are_off_within_and_back_afterwards():
    tf.config.optimizer.set_experimental_options({"loop_optimization": False})
    try:
        with graph_passes.left_out():
            inside = options()
        after = options()
    finally:
        tf.config.optimizer.set_experimental_options({"loop_optimization": True})
    assert not any(inside[name] for name in ("remapping", "constant_folding", "loop_optimization"))
    assert after["remapping"]
    assert after["constant_folding"]
    assert not after["loop_optimization"]  # as the user had it


def test_a_graph_computes_the_same_without_them():
    step = tf.function(lambda x: tf.reduce_sum((x + 0.0) * 2.0 * tf.constant(3.0)))
    x = tf.range(5.0)
    with graph_passes.left_out():
        found = step(x)
    assert float(found) == 60.0
