"""The first lines of a run: what it runs on, and what of this machine it leaves idle."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from official_vision.specs import TrainSpec
from official_vision.training.devices.compilation import is_compiled
from official_vision.training.devices.strategies import is_one_of_many
from official_vision.training.devices.threads import threads_in_force

# Each is there where NVIDIA's driver is.
_DRIVER_FILES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"))
_DRIVER_COMMAND = "nvidia-smi"
_HIDING = "CUDA_VISIBLE_DEVICES"  # CUDA's: with an empty list or -1 the user hides all GPUs
_MEND = "pip install 'official-vision[gpu]'"


def devices_lines(strategy: tf.distribute.Strategy, train: TrainSpec) -> list[str]:
    """Describes a run's devices, e.g. "devices: 2 x NVIDIA H100, mixed_bfloat16, XLA".

    Args:
      strategy: of the run.
      train: its devices, precision and compilation are read.

    Returns:
      That line, and a warning for each of: GPUs that stay idle, GPUs that TensorFlow can't use, and a precision
      that is slow here.

    Raises:
      UserError: a setting of compilation that the devices don't allow.
    """
    with strategy.scope():
        xla = ", XLA" if is_compiled(train) else ""
    kinds = [
        tf.DeviceSpec.from_string(device).device_type for device in strategy.extended.worker_devices
    ]
    line = f"devices: {_named(kinds)}, {train.precision}{xla}"
    line += ", on each worker" if is_one_of_many(strategy) else ""
    return [line, *(f"warning: {warning}" for warning in _warnings(kinds, train))]


def _named(kinds: list[str]) -> str:
    if "TPU" in kinds:
        return f"{kinds.count('TPU')} TPU cores"
    if "GPU" in kinds:
        names = dict.fromkeys(map(_gpu_name, tf.config.get_visible_devices("GPU")))
        return f"{kinds.count('GPU')} x {' and '.join(names)}"
    threads = threads_in_force()
    of_each = f"{threads} {'thread' if threads == 1 else 'threads'} per operation"
    return (
        f"{'the CPU' if len(kinds) == 1 else f'{len(kinds)} logical devices of the CPU'}, {of_each}"
    )


def _gpu_name(device: tf.config.PhysicalDevice) -> str:
    return tf.config.experimental.get_device_details(device).get("device_name", device.name)


def _warnings(kinds: list[str], train: TrainSpec) -> Iterator[str]:
    if "TPU" in kinds:
        return
    gpus, used = len(tf.config.list_physical_devices("GPU")), kinds.count("GPU")
    if gpus > used:
        yield (
            f"{gpus - used} of {gpus} GPUs {'is' if gpus - used == 1 else 'are'} idle, by TrainSpec.devices = "
            f"{train.devices!r} and strategy = {train.strategy!r}; 'auto' for both uses all"
        )
    elif not gpus and train.devices != "cpu" and (trace := _trace_of_a_gpu()):
        how = "could not load CUDA's libraries" if tf.test.is_built_with_cuda() else "has no CUDA"
        yield (
            f"this machine seems to have NVIDIA GPUs ({trace}), but the installed TensorFlow {how}: {_MEND}. "
            "TrainSpec.devices = 'cpu' leaves this line out"
        )
    if not used and train.precision == "mixed_float16":
        yield "TrainSpec.precision = 'mixed_float16' is made for GPUs, and slower than float32 on a CPU"


def _trace_of_a_gpu() -> str:
    """Returns what shows that NVIDIA's driver is here; empty where nothing does, or the user hides the GPUs."""
    if os.environ.get(_HIDING, "0").strip() in ("", "-1"):
        return ""
    files = (str(path) for path in _DRIVER_FILES if path.exists())
    return next(files, "") or shutil.which(_DRIVER_COMMAND) or ""
