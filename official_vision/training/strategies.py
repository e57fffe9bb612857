"""TrainSpec -> the tf.distribute strategy of a run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf
from official.common import distribute_utils

from official_vision.config import Config
from official_vision.errors import UserError

# What waiting for another process ends with, and how TensorFlow begins to speak of it in other errors.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
_LOST_WORDS = "Collective ops is aborted"
_REMOTE = re.compile(r"/job:(\w+)/replica:\d+/task:(\d+)")


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


@contextlib.contextmanager
def lost_workers_named(strategy: tf.distribute.Strategy, model_dir: str) -> Iterator[None]:
    """Wraps the work of one process of several: the end of another becomes one line.

    TensorFlow notices a closed connection at once, and a machine that fell silent within a minute.

    Args:
      strategy: of the run.
      model_dir: the run's folder.

    Raises:
      UserError: another process can no longer be reached.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if not is_one_of_many(strategy) or not _is_loss(error):
            raise
        resolver = strategy.cluster_resolver
        own = (resolver.task_type, str(resolver.task_id))
        others = [named for named in _REMOTE.findall(str(error)) if named != own]
        who = " ".join(others[0]) if others else "another worker"
        raise UserError(
            f"A run on several workers needs all of them. Received: no more answer from {who}; its own output "
            f"may say why. Start all workers again: they go on from the newest checkpoint in {model_dir}."
        ) from error


def _is_loss(error: tf.errors.OpError) -> bool:
    return isinstance(error, _LOST) or _LOST_WORDS in str(error)
