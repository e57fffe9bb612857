"""Compares the norms of a training step of two replicas with those of one device."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from official_vision.training.step.update_norms import UpdateNorms
from tests.training import steps


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # Two optimizers; batch norm with moving statistics, as rows of different replicas are not one batch.
    task = steps.make_task(
        {"name": "adam", "learning_rate": 0.01},
        frozen=steps.NO_BATCH_STATISTICS,
        accumulation_steps=2,
        gradient_clip_norm=1.0,
    )
    features, targets = steps.batch()
    targets["mask"] = tf.ones_like(targets["mask"])
    strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
    rows = {0: [0, 1], 1: [2, 3]}
    figures = []
    for scope in (tf.distribute.get_strategy(), strategy):
        with scope.scope():
            model, optimizer = steps.start(task)
            task.norms = UpdateNorms(task.trained, task.architecture, 1)
            if scope is strategy:
                inputs = strategy.experimental_distribute_values_from_function(
                    lambda context: tf.nest.map_structure(
                        lambda x: tf.gather(x, rows[context.replica_id_in_sync_group]),
                        (features, targets),
                    )
                )
            else:
                inputs = (features, targets)

            @tf.function
            def step(inputs, scope=scope, model=model, optimizer=optimizer):
                scope.run(lambda x: task.train_step(x, model, optimizer)[task.loss], (inputs,))

            with task.norms.measuring():
                step(inputs)
            figures.append(task.norms.figures())
    one, two = figures
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=1e-4, err_msg=name)
    print(f"as one: {len(two)} figures")


if __name__ == "__main__":
    main()
