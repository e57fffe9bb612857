"""Compares accumulated training steps of two replicas with those of one device."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.training import steps


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
    features = {"rgb": features["rgb"]}
    targets["mask"] = tf.ones_like(targets["mask"])
    one_losses, one = steps.after(task, 3, inputs=(features, targets))
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    # Rows 0, 1 are the first part of one device, and so they are the first rows of the two devices.
    rows = {0: [0, 2], 1: [1, 3]}
    with strategy.scope():
        model, optimizer = steps.start(task)

        def inputs_of(context):
            return tf.nest.map_structure(
                lambda x: tf.gather(x, rows[context.replica_id_in_sync_group]), (features, targets)
            )

        inputs = strategy.experimental_distribute_values_from_function(inputs_of)

        @tf.function
        def step():
            losses = strategy.run(
                lambda x: task.train_step(x, model, optimizer)[task.loss], (inputs,)
            )
            return strategy.reduce("MEAN", losses, axis=None)

        losses = [float(step()) for _ in range(3)]
    np.testing.assert_allclose(losses, one_losses, atol=1e-4)
    actual = {name.replace("/replica_0", ""): value for name, value in steps.weights(model).items()}
    assert actual.keys() == one.keys()
    for name in actual:
        np.testing.assert_allclose(actual[name], one[name], atol=1e-4, err_msg=name)
    print("as one")


if __name__ == "__main__":
    main()
