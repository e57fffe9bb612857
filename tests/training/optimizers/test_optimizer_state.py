"""An optimizer's variables are made before the first step, which is then traced once."""

import pytest
import tensorflow as tf

from official_vision.training.optimizers.optimizer_state import make_state, moving_parts
from tests.training import steps

KINDS = {
    "sgd": {},
    "adamw": {"name": "adamw", "decay": "decoupled"},
    "new": {"name": "adam_experimental"},
    "averaged": {"ema_decay": 0.9},
    "scaled": {"precision": "mixed_float16"},
    "addon": {"name": "tfa:MovingAverage"},
}


def traces(**settings):
    """Counts the traces of the first two steps; returns the optimizer's variables before and after them."""
    task = steps.make_task(**settings)
    model, optimizer = steps.start(task)

    def state():
        variables = optimizer.variables
        return [v.name for v in (variables() if callable(variables) else variables)]

    before = state()
    step = tf.function(lambda batch: task.train_step(batch, model, optimizer)[task.loss])
    for _ in range(2):
        step(steps.batch())
    return step.experimental_get_tracing_count(), before, state()


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS)
def test_a_step_is_traced_once_and_makes_no_variable(settings):
    count, before, after = traces(**settings)
    assert count == 1
    assert sorted(before) == sorted(after)


def test_two_optimizers_keep_state_of_their_weights():
    task = steps.make_task(architecture_optimizer={"name": "adam", "learning_rate": 0.05})
    _, optimizer = steps.start(task)
    (network, weights), (connections, strengths) = moving_parts(optimizer, task.trained)
    assert len(network.variables()) == 1 + len(weights)  # the count of steps, and momentum
    assert len(connections.variables()) == 1 + 2 * len(strengths)
    assert len(weights) + len(strengths) == len(task.trained)


def test_frozen_weights_get_no_state():
    task = steps.make_task(frozen=("^node_",))
    model, optimizer = steps.start(task)
    make_state(optimizer, task.trained)  # a second time changes nothing
    assert len(optimizer.variables()) == 1 + len(task.trained)
    assert len(task.trained) < len(model.trainable_variables) or all(
        "node_" not in v.name for v in task.trained
    )
