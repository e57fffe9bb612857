"""The tf.distribute strategy of a TrainSpec."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from official.common import distribute_utils

from official_vision.errors import UserError
from official_vision.specs import TrainSpec

# What waiting for another process ends with, and how TensorFlow begins to speak of it in other errors.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
_TF_CONFIG = "TF_CONFIG"  # TensorFlow's
# Gradients are exchanged in packs, which are made, sent and taken apart side by side: 112 MB over loopback, a core
# for each worker, took 0.28 s (0.29 in packs of 8 MiB), and 0.75 s all in one, TensorFlow's default.
_BYTES_PER_PACK = 32 * 2**20
_LOST_WORDS = "Collective ops is aborted"
_REMOTE = re.compile(r"/job:(\w+)/replica:\d+/task:(\d+)")


def make_strategy(train: TrainSpec) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy over the devices that TrainSpec names.

    auto takes one_device for one GPU or the CPU, and mirrored for several GPUs. Without a GPU, mirrored takes all
    logical CPU devices.

    Args:
      train: its devices, strategy and tpu are read.

    Raises:
      UserError: more GPUs than there are or than the strategy uses, a TPU without a name or out of reach, or
        several workers whose TF_CONFIG can't be read.
    """
    if train.strategy == "tpu":
        return _tpu_strategy(train)
    gpus = _gpus(train)
    if train.strategy == "multi_worker_mirrored":
        _check_workers()
        packs = tf.distribute.experimental.CommunicationOptions(bytes_per_pack=_BYTES_PER_PACK)
        return tf.distribute.MultiWorkerMirroredStrategy(communication_options=packs)
    if train.strategy == "mirrored" or (train.strategy == "auto" and gpus > 1):
        named = tf.config.list_logical_devices("GPU" if gpus else "CPU")
        return _mirrored(tuple(device.name for device in named[: gpus or None]))
    return tf.distribute.OneDeviceStrategy("device:GPU:0" if gpus else "device:CPU:0")


def shared_batches(
    strategy: tf.distribute.Strategy, make: Callable[[tf.distribute.InputContext], tf.data.Dataset]
) -> Any:
    """Returns batches for the devices, of which each gets a share.

    Args:
      strategy: of the devices.
      make: builds the dataset of one input pipeline.

    Returns:
      What `strategy.run` takes an element of.
    """
    one = isinstance(strategy, tf.distribute.OneDeviceStrategy)
    if one and "CPU" in strategy.extended.worker_devices[0]:
        # TensorFlow would copy them by another pipeline, and wait for its tuning when it is freed (see data/input).
        return make(tf.distribute.InputContext())
    return strategy.distribute_datasets_from_function(make)


@functools.cache
def _mirrored(names: tuple[str, ...]) -> tf.distribute.Strategy:
    """Returns the one strategy of this process over some devices.

    Each numbers its sums over devices from the same number on: with a second one, sums of two networks, as of a
    search and what is derived of it, would meet.
    """
    return tf.distribute.MirroredStrategy(list(names))


def _gpus(train: TrainSpec) -> int:
    """Returns how many GPUs are used."""
    visible = len(tf.config.get_visible_devices("GPU"))
    if train.devices == "cpu":
        return 0
    if train.devices == "auto":
        return visible
    if train.devices > visible:
        there = f"{visible} GPUs" if visible > 1 else ("1 GPU" if visible else "no GPU")
        raise UserError(
            f"TrainSpec.devices must be no more GPUs than TensorFlow sees. Received: {train.devices}, and it sees "
            f"{there}. Set 'auto', or look at the driver, at CUDA_VISIBLE_DEVICES and for official-vision[gpu]."
        )
    if train.strategy == "one_device" and train.devices > 1:
        raise UserError(
            "TrainSpec.strategy = 'one_device' uses one GPU. Received: TrainSpec.devices = "
            f"{train.devices}. Set TrainSpec.strategy = 'auto', or devices = 1."
        )
    return train.devices


def _check_workers() -> None:
    text = os.environ.get(_TF_CONFIG, "{}")
    try:
        values = json.loads(text)
        task, cluster = values.get("task", {}), values.get("cluster", {})
        if task:
            cluster[task["type"]][int(task["index"])]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{_TF_CONFIG} must be JSON with a cluster and a task of it. Received: {text!r} ({error!r}). "
            "See tf.distribute.MultiWorkerMirroredStrategy."
        ) from error


def _tpu_strategy(train: TrainSpec) -> tf.distribute.Strategy:
    if train.devices != "auto":
        raise UserError(
            "TrainSpec.devices is of GPUs and the CPU. Received: "
            f"{train.devices!r} with TrainSpec.strategy = 'tpu', which uses all cores of TrainSpec.tpu. Leave it "
            "at 'auto'."
        )
    name = train.tpu
    if not name:
        raise UserError(
            "TrainSpec.tpu must name a TPU for TrainSpec.strategy = 'tpu'. Received: ''. Name it or its address, or "
            "set 'local' on a machine that has one."
        )
    try:
        return distribute_utils.get_distribution_strategy("tpu", tpu_address=name)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"TrainSpec.tpu must name a TPU that can be reached. Received: {name!r} ({reason}). "
            "Name another, or choose another TrainSpec.strategy."
        ) from error


def is_one_of_many(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether other processes take part, so that all must decide alike."""
    resolver = strategy.cluster_resolver
    if resolver is None or isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    cluster = resolver.cluster_spec().as_dict()
    return sum(len(cluster.get(job, ())) for job in ("chief", "worker")) > 1


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one that writes the run's folder."""
    return strategy.extended.should_checkpoint


@contextlib.contextmanager
def lost_workers_named(strategy: tf.distribute.Strategy, model_dir: str) -> Iterator[None]:
    """Wraps the work of one of several processes, so that the end of another becomes one line.

    TensorFlow notices a closed connection at once, and an unreachable machine within a minute.

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
        this_worker = (resolver.task_type, str(resolver.task_id))
        others = [named for named in _REMOTE.findall(str(error)) if named != this_worker]
        who = " ".join(others[0]) if others else "another worker"
        raise UserError(
            f"A run on several workers needs all of them. Received: no more response from {who}; its output "
            f"may have the reason. Start all workers again: they go on from the newest checkpoint in {model_dir}."
        ) from error


def _is_loss(error: tf.errors.OpError) -> bool:
    return isinstance(error, _LOST) or _LOST_WORDS in str(error)
