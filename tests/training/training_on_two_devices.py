"""Trains with one replica and with two, on processors that TensorFlow makes of one: DATA GRAPH OUTPUT SETTINGS."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import tensorflow as tf

from official_vision.training.run import train
from tests.training import runs


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    data, graph, output = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    settings = {
        "steps_per_loop": 1,
        "validation_interval": 100,
        "checkpoint_interval": 100,
        "weight_decay": 1e-2,
    }
    settings |= json.loads(sys.argv[4])
    for strategy in ("one_device", "mirrored"):
        train(runs.config(data, output / strategy, graph, strategy=strategy, **settings))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # freeing the replicas' iterators would wait for as long as they lived
