"""Compares accumulated training steps of two replicas, and their norms, with those of one device."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.training.devices import graph_passes
from official_vision.training.step.update_norms import UpdateNorms
from official_vision.training.task import VideoTask
from tests.training import steps

STEPS = 3
Inputs = tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]
# Rows 0, 1 are the first part of one device, and so they are the first rows of the two devices.
ROWS = {1: {0: [0, 1, 2, 3]}, 2: {0: [0, 2], 1: [1, 3]}}


def after(
    strategy: tf.distribute.Strategy, task: VideoTask, batch: Inputs
) -> tuple[list[float], dict[str, np.ndarray], dict[str, float]]:
    """Takes measured steps; returns the losses, every weight by name, and the last one's norms."""
    rows = ROWS[strategy.num_replicas_in_sync]

    def inputs_of(context: Any) -> Inputs:
        mine = rows[context.replica_id_in_sync_group]
        return tf.nest.map_structure(lambda x: tf.gather(x, mine), batch)

    with strategy.scope():
        model, optimizer = steps.start(task)
        task.norms = UpdateNorms(task.trained, task.architecture, 1)
        inputs = strategy.experimental_distribute_values_from_function(inputs_of)

        @tf.function
        def step() -> tf.Tensor:
            losses = strategy.run(
                lambda x: task.train_step(x, model, optimizer)[task.loss], (inputs,)
            )
            return strategy.reduce("MEAN", losses, axis=None)

        with task.norms.measuring(), graph_passes.left_out():
            losses = [float(step()) for _ in range(STEPS)]
    weights = {name.replace("/replica_0", ""): x for name, x in steps.weights(model).items()}
    return losses, weights, task.norms.figures()


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    task = steps.make_task(
        {"name": "adam", "learning_rate": 0.01},
        ("rgb",),
        accumulation_steps=2,
        rematerialise="everything",
        ema_decay=0.9,
        gradient_clip_norm=1.0,
    )
    features, targets = steps.batch()
    targets["mask"] = tf.ones_like(targets["mask"])
    batch = ({"rgb": features["rgb"]}, targets)
    one_losses, one, one_norms = after(tf.distribute.get_strategy(), task, batch)
    two = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    losses, weights, norms = after(two, task, batch)
    np.testing.assert_allclose(losses, one_losses, atol=1e-4)
    assert weights.keys() == one.keys()
    for name in weights:
        np.testing.assert_allclose(weights[name], one[name], atol=1e-4, err_msg=name)
    assert norms.keys() == one_norms.keys()
    for name, value in one_norms.items():
        np.testing.assert_allclose(norms[name], value, rtol=1e-3, err_msg=name)
    print(f"as one: {len(norms)} figures")


if __name__ == "__main__":
    main()
