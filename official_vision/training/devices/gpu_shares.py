"""How processes that train at the same time share GPUs; needs no TensorFlow."""

from __future__ import annotations

import math

from official_vision.specs import TrainSpec

_RAY_UNITS = 10_000  # Ray counts a GPU in ten-thousandths


def gpus_per_process(train: TrainSpec, gpus: int, processes: int = 1) -> int:
    """Returns how many GPUs each process trains on.

    Args:
      train: its devices and strategy are read.
      gpus: that there are for all.
      processes: that train at the same time; of 'auto' each gets an equal share, of too few GPUs one.
    """
    if train.devices == "cpu" or not gpus:
        return 0
    if isinstance(train.devices, int):
        return min(train.devices, gpus)
    return 1 if train.strategy == "one_device" else max(1, gpus // processes)


def gpus_of_process(train: TrainSpec, gpus: int, number: int, processes: int) -> list[int]:
    """Returns the indices of one process's GPUs; two have the same one only where there are too few for all.

    Args:
      train: its devices and strategy are read.
      gpus: of the machine.
      number: of the process, from 0.
      processes: that train at the same time.
    """
    count = gpus_per_process(train, gpus, processes)
    return sorted((number * count + i) % gpus for i in range(count))


def gpus_per_ray_task(train: TrainSpec, gpus: float, tasks: int) -> float:
    """Returns the GPUs that a task of a Ray cluster requests, which hides all others from it.

    Args:
      train: its devices and strategy are read.
      gpus: of all nodes of the cluster.
      tasks: that train at the same time; where they are more than the GPUs, several share one.
    """
    if train.devices == "auto" and 0 < gpus < tasks:
        return math.floor(_RAY_UNITS * gpus / tasks) / _RAY_UNITS
    return gpus_per_process(train, int(gpus), tasks)
