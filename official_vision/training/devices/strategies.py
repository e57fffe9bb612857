"""The tf.distribute strategy of a TrainSpec."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator

import tensorflow as tf
from official.common import distribute_utils

from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.specs import TrainSpec
from official_vision.training.devices.threads import threads_in_force

# What waiting for another process ends with, and how TensorFlow begins to speak of it in other errors.
_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError)
_TF_CONFIG = "TF_CONFIG"  # TensorFlow's
_LOST_WORDS = "Collective ops is aborted"
_REMOTE = re.compile(r"/job:(\w+)/replica:\d+/task:(\d+)")


def make_strategy(config: Config) -> tf.distribute.Strategy:
    """Returns the tf.distribute strategy that TrainSpec names.

    With num_gpus = 0, mirrored takes all logical CPU devices.

    Raises:
      UserError: more GPUs than there are or than the strategy uses, a TPU without a name or out of reach, or
        several workers whose TF_CONFIG can't be read.
    """
    train = config.train
    if train.strategy == "tpu":
        return _tpu_strategy(train.tpu)
    _check_gpus(train)
    if train.strategy == "multi_worker_mirrored":
        _check_workers()
    if train.strategy == "mirrored" and not train.num_gpus:
        return tf.distribute.MirroredStrategy(
            [d.name for d in tf.config.list_logical_devices("CPU")]
        )
    return distribute_utils.get_distribution_strategy(train.strategy, num_gpus=train.num_gpus)


def _check_gpus(train: TrainSpec) -> None:
    visible = len(tf.config.get_visible_devices("GPU"))
    if train.num_gpus > visible:
        there = f"{visible} GPUs" if visible > 1 else ("1 GPU" if visible else "no GPU")
        raise UserError(
            f"TrainSpec.num_gpus must be no more than TensorFlow sees. Received: {train.num_gpus}, and it sees "
            f"{there}. Lower it, or look at the driver, at CUDA_VISIBLE_DEVICES and for tensorflow[and-cuda]."
        )
    if train.strategy == "one_device" and train.num_gpus > 1:
        raise UserError(
            "TrainSpec.strategy = 'one_device' uses one GPU. Received: TrainSpec.num_gpus = "
            f"{train.num_gpus}. Set TrainSpec.strategy = 'mirrored', or num_gpus = 1."
        )


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


def _tpu_strategy(name: str) -> tf.distribute.Strategy:
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


def devices_lines(strategy: tf.distribute.Strategy, train: TrainSpec) -> list[str]:
    """Describes a run's devices, the GPUs of this machine that it leaves idle, and a precision that is slow here."""
    gpus = tf.config.list_logical_devices("GPU")
    kinds = [
        tf.DeviceSpec.from_string(device).device_type for device in strategy.extended.worker_devices
    ]
    if "TPU" in kinds:
        what = f"{kinds.count('TPU')} TPU cores"
    elif "GPU" in kinds:
        names = ", ".join(dict.fromkeys(map(_gpu_name, tf.config.get_visible_devices("GPU"))))
        what = f"{kinds.count('GPU')} of {len(gpus)} GPUs ({names})"
    else:
        what = "the CPU" if len(kinds) == 1 else f"{len(kinds)} logical devices of the CPU"
        what += f", threads per operation: {threads_in_force()}"
        what += "" if gpus else "; TensorFlow sees no GPU"
    line = f"devices: {what}" + (", on each worker" if is_one_of_many(strategy) else "")
    on_cpu = not {"GPU", "TPU"} & {*kinds}
    if gpus and on_cpu:
        line = f"warning: {line}; {len(gpus)} GPUs are idle: set TrainSpec.num_gpus = {len(gpus)}"
    if on_cpu and train.precision == "mixed_float16":
        slow = "warning: TrainSpec.precision = 'mixed_float16' is made for GPUs, and slower than float32 on a CPU"
        return [line, slow]
    return [line]


def _gpu_name(device: tf.config.PhysicalDevice) -> str:
    return tf.config.experimental.get_device_details(device).get("device_name", device.name)


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
