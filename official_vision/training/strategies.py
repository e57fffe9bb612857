"""TrainSpec -> the tf.distribute strategy of a run."""

from __future__ import annotations

import tensorflow as tf
from official.common import distribute_utils

from official_vision.config import Config


def make_strategy(config: Config) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy that TrainSpec names.

    Without GPUs, mirrored takes all logical CPU devices.
    """
    train = config.train
    if train.strategy == "mirrored" and not train.num_gpus:
        return tf.distribute.MirroredStrategy(
            [d.name for d in tf.config.list_logical_devices("CPU")]
        )
    return distribute_utils.get_distribution_strategy(
        train.strategy, num_gpus=train.num_gpus, tpu_address=train.tpu or None
    )


def is_one_of_many(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes take part, so that all must decide alike."""
    resolver = strategy.cluster_resolver
    if resolver is None or isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    cluster = resolver.cluster_spec().as_dict()
    return sum(len(cluster.get(job, ())) for job in ("chief", "worker")) > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes the run's folder."""
    return strategy.extended.should_checkpoint
