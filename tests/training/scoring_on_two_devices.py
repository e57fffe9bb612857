"""Scores clips and frames, recomputes norms, on one processor and on two that TensorFlow makes of it: RUN OUTPUT."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision.errors import UserError
from official_vision.metrics.dump import write_dump
from official_vision.specs import EvaluationSpec, TrainSpec
from official_vision.training import clip_scoring
from official_vision.training.devices.strategies import make_strategy
from official_vision.training.frame_scoring import localise
from official_vision.training.step.precise_batch_norm import recompute_on_training_data


def main():
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    folder = Path(sys.argv[1])
    both = make_strategy(TrainSpec(strategy="mirrored"))
    for name, strategy in (("one", clip_scoring.devices_of_run(folder)), ("two", both)):
        trained = clip_scoring.load_trained(folder, "latest", strategy)
        print(name, trained.strategy.num_replicas_in_sync)
        # 36 clips in batches of 10: the last one is filled up on either replica.
        data = dataclasses.replace(trained.config.validation_data, batch_size=10)
        config = dataclasses.replace(trained.config, validation_data=data)
        scores = clip_scoring.score_clips(dataclasses.replace(trained, config=config))
        write_dump(sys.argv[2] + f"/{name}.npz", scores, EvaluationSpec())
        # 18 windows of two frames each.
        data = dataclasses.replace(data, frames=2)
        config = dataclasses.replace(trained.config, validation_data=data)
        localised, _ = localise(dataclasses.replace(trained, config=config))
        np.save(sys.argv[2] + f"/{name}_frames.npy", localised.frames.classes)
        recompute_on_training_data(trained.model, config, 2, strategy)
        moving = [v.numpy() for v in trained.model.variables if "/moving_" in v.name]
        np.savez(sys.argv[2] + f"/{name}_norms.npz", *moving)
    data = dataclasses.replace(data, batch_size=9)
    config = dataclasses.replace(trained.config, validation_data=data)
    try:
        clip_scoring.score_clips(dataclasses.replace(trained, config=config))
    except UserError as error:
        print(error)


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # freeing the replicas' iterators would wait for as long as they lived
