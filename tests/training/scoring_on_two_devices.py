"""Scores a run's clips on one processor and on two that TensorFlow makes of it: RUN OUTPUT."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import tensorflow as tf

from official_vision.errors import UserError
from official_vision.metrics.dump import write_dump
from official_vision.specs import EvaluationSpec
from official_vision.training import clip_scoring


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    folder = Path(sys.argv[1])
    for name, strategy in (("one", None), ("two", clip_scoring.all_devices())):
        trained = clip_scoring.load_trained(folder, "latest", strategy)
        print(name, trained.strategy.num_replicas_in_sync)
        # 36 clips in batches of 10: the last one is filled up on either replica.
        data = dataclasses.replace(trained.config.validation_data, batch_size=10)
        config = dataclasses.replace(trained.config, validation_data=data)
        scores = clip_scoring.score_clips(dataclasses.replace(trained, config=config))
        write_dump(sys.argv[2] + f"/{name}.npz", scores, EvaluationSpec())
    data = dataclasses.replace(data, batch_size=9)
    config = dataclasses.replace(trained.config, validation_data=data)
    try:
        clip_scoring.score_clips(dataclasses.replace(trained, config=config))
    except UserError as error:
        print(error)


if __name__ == "__main__":
    main()
