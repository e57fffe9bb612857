"""The GPUs that TensorFlow may use in this process, settled before it first computes."""

from __future__ import annotations

import contextlib

import tensorflow as tf

from official_vision.specs import TrainSpec
from official_vision.training.devices.gpu_shares import gpus_of_process
from official_vision.training.devices.threads import set_threads


def set_up(train: TrainSpec, place: tuple[int, int] = (0, 1)) -> None:
    """Settles GPUs and threads of this process as TrainSpec sets them, before TensorFlow first computes.

    Args:
      train: its devices, strategy and threads are read.
      place: see `see_devices`.

    Raises:
      UserError: too late for a number of threads that is not in force.
    """
    see_devices(train, place)
    set_threads(train)


def see_devices(train: TrainSpec, place: tuple[int, int] = (0, 1)) -> None:
    """Hides the GPUs that are left out, so that nothing lies on them, and lets memory on the others grow.

    Without growth TensorFlow takes all memory of every GPU that it sees. Once TensorFlow has computed, all stays as
    it is. More GPUs than there are is no mistake here: a run may be evaluated on a smaller machine.

    Args:
      train: its devices and strategy are read.
      place: the number of this process among those of this machine that train at the same time, and how many they
        are: they share the GPUs out.
    """
    visible = tf.config.get_visible_devices("GPU")
    if not visible or train.strategy == "tpu":
        return
    chosen = [visible[i] for i in gpus_of_process(train, len(visible), *place)]
    with contextlib.suppress(RuntimeError, ValueError):  # too late, or the user has divided a GPU
        tf.config.set_visible_devices(chosen, "GPU")
        for gpu in chosen:
            tf.config.experimental.set_memory_growth(gpu, True)
