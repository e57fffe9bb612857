"""A batch in parts makes the step of the whole batch: losses, weights, devices, loss scaling."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.training.step.accumulation import accumulate, check_parts
from tests.training import steps

REPOSITORY = Path(__file__).resolve().parents[3]


def test_sums_by_hand():
    weight = tf.Variable([2.0])
    rows = tf.constant([[1.0], [2.0], [3.0], [4.0], [5.0], [6.0]])

    def step(part):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum((part["x"] * weight) ** 2)
        return loss, tape.gradient(loss, [weight])

    for run in (accumulate, tf.function(accumulate)):
        loss, (gradient,) = run(step, {"x": rows}, 3, [weight])
        assert float(loss) == 4 * 91
        assert gradient.numpy().tolist() == [2 * 2 * 91]


def test_parts_are_consecutive_rows_one_after_the_other():
    seen = []
    accumulate(
        lambda part: (seen.append(part.numpy().tolist()) or tf.constant(0.0), []),
        tf.range(6),
        3,
        [],
    )
    assert seen == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"precision": "mixed_float16"}])
def test_parts_make_the_step_of_the_whole_batch(settings):
    """Batch norm aside, which runs with its moving statistics here; a row is padding."""
    frozen = {"frozen": steps.NO_BATCH_STATISTICS, "weight_decay": 0.1, **settings}
    whole_losses, whole = steps.after(steps.make_task(**frozen), steps=2)
    losses, parts = steps.after(steps.make_task(accumulation_steps=4, **frozen), steps=2)
    np.testing.assert_allclose(losses, whole_losses, rtol=1e-5)
    steps.assert_close(parts, whole, atol=1e-5, rtol=1e-5)
    assert len(steps.moved(whole, steps.weights(steps.start(steps.make_task(**frozen))[0]))) > 10


def test_batches_that_do_not_divide_are_refused():
    check_parts(16, 2, 4)
    with pytest.raises(UserError, match=r"multiple .* Received: 16 with 3 steps on 2 devices"):
        check_parts(16, 2, 3)


@pytest.mark.slow
def test_two_devices_in_parts_are_one_device_in_parts():
    """With synchronised batch norm, two optimizers, rematerialisation, clipping, a moving average, and norms."""
    command = [sys.executable, "-m", "tests.training.step.parts_on_two_devices"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert re.search(r"as one: 14 figures", done.stdout), done.stderr[-3000:]
