"""Single training steps of the task on a small network, without a run around them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from official.core import config_definitions

from official_vision.training.devices import graph_passes
from official_vision.training.devices.compilation import wraps_step
from official_vision.training.optimizers.optimizer_state import make_state
from official_vision.training.step.frozen_weights import name_of
from official_vision.training.task import VideoTask
from tests.modeling import small
from tests.training import runs

NO_BATCH_STATISTICS = ("norm/",)  # frozen so, rows of a batch don't meet


def make_task(
    architecture_optimizer: dict[str, Any] | None = None,
    streams: tuple[str, ...] = runs.STREAMS,
    **settings: Any,
) -> VideoTask:
    """A task whose settings `runs.config` sorts into specs; data is not needed for a step."""
    config = runs.config(Path("data"), Path("run"), "small", **settings)
    if architecture_optimizer:
        other = dataclasses.replace(config.optimizer, **architecture_optimizer)
        config = dataclasses.replace(config, architecture_optimizer=other)
    return VideoTask(
        config, runs.architecture(streams=streams), {}, config_definitions.TaskConfig()
    )


def batch(rows: int = 4, seed: int = 0) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """Clips with one label each; the last row is padding."""
    features = small.clips(rows, runs.FRAMES, 16, seed)
    features["objects"] = features["objects"] % 4
    labels = tf.one_hot(np.arange(rows) % 4, 4)
    mask = tf.constant([1.0] * (rows - 1) + [0.0])
    return features, {"labels": labels, "mask": mask}


def start(task: VideoTask, seed: int = 0) -> tuple[tf_keras.Model, Any]:
    """The network with random weights, and its optimizer."""
    tf_keras.utils.set_random_seed(seed)
    model = task.build_model()
    small.liven(model, seed)
    optimizer = task.create_optimizer()
    if task.config.optimizer.ema_decay:  # as Model Garden's trainer begins
        optimizer.shadow_copy(model)
    make_state(optimizer, task.trained)
    return model, optimizer


def after(
    task: VideoTask, steps: int = 1, inputs: Any = None
) -> tuple[list[float], dict[str, np.ndarray]]:
    """Takes steps, several of them as one graph, which XLA compiles where TrainSpec.compiled is set.

    Returns the losses, and every weight by name.
    """
    model, optimizer = start(task)
    inputs = inputs or batch()

    def step(batch: Any) -> tf.Tensor:
        return task.train_step(batch, model, optimizer)[task.loss]

    compiled = wraps_step(task.config.train)
    call = tf.function(step, jit_compile=compiled) if steps > 1 or compiled else step
    with graph_passes.left_out():  # as a run does
        losses = [float(call(inputs)) for _ in range(steps)]
    return losses, weights(model)


def weights(model: tf_keras.Model) -> dict[str, np.ndarray]:
    return {name_of(variable): variable.numpy() for variable in model.variables}


def assert_close(
    actual: dict[str, np.ndarray], expected: dict[str, np.ndarray], **by: float
) -> None:
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, err_msg=name, **by)


def moved(before: dict[str, np.ndarray], now: dict[str, np.ndarray]) -> set[str]:
    """Names of weights that are not what they were."""
    return {name for name, value in before.items() if not np.array_equal(value, now[name])}
