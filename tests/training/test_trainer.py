"""Waiting for input is measured inside the loop: against input and steps that are slow on purpose."""

from __future__ import annotations

import time

import pytest
import tensorflow as tf
import tf_keras
from official.core import base_task, config_definitions

from official_vision.training.devices.determinism import operations_deterministic
from official_vision.training.observation import stopwatch as activities
from official_vision.training.observation.stopwatch import Stopwatch
from official_vision.training.trainer import Trainer

STEPS = 12


def sleep(seconds):
    def op(x):
        time.sleep(seconds)
        return x

    return lambda x: tf.ensure_shape(tf.py_function(op, [x], tf.float32), [])


class SlowTask(base_task.Task):
    """A step takes as long as it is set to."""

    def __init__(self, seconds):
        super().__init__(config_definitions.TaskConfig())
        self.pause = sleep(seconds)
        self.trained = []
        self.norms = None

    def train_step(self, inputs, model, optimizer, metrics=None):
        del model, optimizer, metrics
        return {self.loss: self.pause(inputs)}

    def added_losses(self, step):
        return {"steps_seen": step}

    def build_inputs(self, params, input_context=None):
        del input_context
        raise ValueError(params)


class TwoRates(tf_keras.optimizers.legacy.SGD):
    architecture_learning_rate = 0.25


def loop_of(dataset, step_seconds, optimizer=None, *, is_deterministic=False):
    stopwatch = Stopwatch(is_deterministic=is_deterministic)
    config = config_definitions.ExperimentConfig(task=config_definitions.TaskConfig())
    optimizer = optimizer or tf_keras.optimizers.legacy.SGD(0.5)
    trainer = Trainer(
        config,
        SlowTask(step_seconds),
        model=tf_keras.Sequential([tf_keras.layers.Dense(1)]),
        optimizer=optimizer,
        train=True,
        evaluate=False,
        train_dataset=dataset,
        stopwatch=stopwatch,
    )
    trainer.train(tf.constant(2))  # traces
    stopwatch.take()
    return trainer.train(tf.constant(STEPS)), stopwatch.take()


def slow_input(seconds):
    """One number after the other: tf.data would run the pauses beside one another, and ahead."""
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = False
    options.experimental_optimization.inject_prefetch = False
    options.autotune.enabled = False
    return NUMBERS.map(sleep(seconds)).with_options(options)


NUMBERS = tf.data.Dataset.counter().map(lambda n: tf.cast(n, tf.float32))


@pytest.mark.parametrize(
    ("input_seconds", "step_seconds", "waited"),
    [(0.04, 0.0, 0.04), (0.02, 0.06, 0.02), (0.0, 0.04, 0.0)],
)
def test_waiting_is_the_time_that_the_input_takes(input_seconds, step_seconds, waited):
    output, seconds = loop_of(slow_input(input_seconds), step_seconds)
    # A sleep is never shorter than set; a busy machine may make it longer.
    expected = STEPS * waited
    assert 0.95 * expected <= seconds[activities.INPUT] <= 1.5 * expected + 0.15
    assert output["seconds"] >= STEPS * (input_seconds + step_seconds)
    measured = seconds[activities.INPUT] + seconds[activities.TRAINING]
    assert measured == pytest.approx(output["seconds"], rel=1e-6)
    assert output["input_wait_share"] == pytest.approx(seconds[activities.INPUT] / measured)


def test_input_that_is_made_ready_meanwhile_costs_nothing():
    dataset = slow_input(0.02).prefetch(2)
    output, _ = loop_of(dataset, 0.08)
    assert output["input_wait_share"] < 0.2
    alone, _ = loop_of(slow_input(0.02), 0.08)
    assert output["input_wait_share"] < 0.6 * alone["input_wait_share"]


def test_waiting_is_measured_in_deterministic_runs_too():
    """TensorFlow's clock is refused in them."""
    with operations_deterministic(wanted=True):
        with pytest.raises(tf.errors.FailedPreconditionError, match="determinism"):
            loop_of(NUMBERS, 0.0)
        output, seconds = loop_of(slow_input(0.04), 0.0, is_deterministic=True)
    assert 0.95 * STEPS * 0.04 <= seconds[activities.INPUT] <= output["seconds"]
    loop_of(NUMBERS, 0.0)  # not refused any more


def test_a_second_learning_rate_is_reported_through_wrappers():
    output, _ = loop_of(NUMBERS, 0.0, TwoRates(0.5))
    assert float(output["learning_rate"]) == 0.5
    assert output["architecture_learning_rate"] == 0.25
    wrapped = tf_keras.mixed_precision.LossScaleOptimizer(TwoRates(0.5))
    output, _ = loop_of(NUMBERS, 0.0, wrapped)
    assert output["architecture_learning_rate"] == 0.25
    output, _ = loop_of(NUMBERS, 0.0)
    assert "architecture_learning_rate" not in output


def test_a_stopwatch_leaves_nothing_out():
    stopwatch = Stopwatch()
    began = time.monotonic()
    with stopwatch.measuring("a"):
        time.sleep(0.02)
    with pytest.raises(ZeroDivisionError), stopwatch.measuring("a"):
        time.sleep(0.02) or 1 // 0
    stopwatch.add("b", 0.001)
    time.sleep(0.02)
    taken = stopwatch.take()
    assert sum(taken.values()) == pytest.approx(time.monotonic() - began, abs=0.01)
    assert taken["a"] >= 0.04
    assert taken["b"] == 0.001
    assert set(stopwatch.take()) == {activities.OTHER}
