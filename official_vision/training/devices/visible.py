"""The GPUs that TensorFlow may use in this process, settled before it first computes."""

from __future__ import annotations

import contextlib

import tensorflow as tf

from official_vision.specs import TrainSpec
from official_vision.training.devices.threads import set_threads


def set_up(train: TrainSpec) -> None:
    """Settles GPUs and threads of this process as TrainSpec sets them, before TensorFlow first computes.

    Args:
      train: its devices, strategy and threads are read.

    Raises:
      UserError: too late for a number of threads that is not in force.
    """
    see_devices(train)
    set_threads(train)


def see_devices(train: TrainSpec) -> None:
    """Hides the GPUs that are left out, so that nothing lies on them, and lets memory on the others grow.

    Without growth TensorFlow takes all memory of every GPU that it sees. Once TensorFlow has computed, all stays as
    it is. More GPUs than there are is no mistake here: a run may be evaluated on a smaller machine.

    Args:
      train: its devices and strategy are read.
    """
    visible = tf.config.get_visible_devices("GPU")
    if not visible or train.strategy == "tpu":
        return
    chosen = visible[: _most(train, len(visible))]
    with contextlib.suppress(RuntimeError, ValueError):  # too late, or the user has divided a GPU
        tf.config.set_visible_devices(chosen, "GPU")
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)


def _most(train: TrainSpec, visible: int) -> int:
    if train.devices == "cpu":
        return 0
    if isinstance(train.devices, int):
        return train.devices
    return 1 if train.strategy == "one_device" else visible
