"""The loop for XLA, against a loop in Python."""

from __future__ import annotations

import pytest
import tensorflow as tf

from official_vision.modeling.ops.cpu_kernels.compiled_loop import loop_for_xla


@pytest.mark.parametrize("iterations", [0, 1, 2, 5])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_loop_iterates_as_often_as_set(iterations: int, jit_compile: bool) -> None:
    def iterate(a, pair):
        return 2 * a + pair[0], (pair[1], a)

    run = tf.function(
        lambda: loop_for_xla(
            iterate, (tf.constant(1.0), (tf.constant(3.0), tf.constant(5.0))), iterations
        ),
        jit_compile=jit_compile,
    )
    a, b, c = 1.0, 3.0, 5.0
    for _ in range(iterations):
        a, b, c = 2 * a + b, c, a
    assert [float(x) for x in tf.nest.flatten(run())] == [a, b, c]
