"""Prints the MiB that a training step is estimated to take, and those that it took.

step_memory.py REMATERIALISE PRECISION [gin binding ...]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import tensorflow as tf

from official_vision import config
from official_vision.benchmark.network_speed import TRAIN, contender
from official_vision.modeling.builder import resolve_architecture
from official_vision.training.devices.memory import need_of

_NETWORK = (
    "ModelSpec.width_multiplier = 0.25",
    "ModelSpec.depth = 26",
    "ModelSpec.num_classes = 10",
    "DataSpec.frames = 16",
    "DataSpec.size = 96",
    "DataSpec.batch_size = 4",
)


def main() -> None:
    rematerialise, precision, *others = sys.argv[1:]
    settings = [
        *others,
        f"TrainSpec.rematerialise = '{rematerialise}'",
        f"TrainSpec.precision = '{precision}'",
    ]
    model = "gin_configs/models/assemblenet_plus_plus_50.gin"
    chosen = config.load([model], [*_NETWORK, *settings])
    tf.ones(1).numpy()
    before = _peak()
    contender("step", chosen, TRAIN, precision.removeprefix("mixed_")).run()
    measured = _peak() - before
    estimated = need_of(chosen, resolve_architecture(chosen.model), 1, on_cpu=True).total
    print(estimated / 2**20, measured)


def _peak() -> float:
    """Not ru_maxrss, which begins with the peak of the process that started this one."""
    return int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


if __name__ == "__main__":
    main()
