"""The memory that a training step takes, estimated before it starts, beside the memory that there is.

Values are counted from the graph (devices/activations.py), and agree to 3 % with what TensorFlow's allocator hands
out. A process on a CPU takes memory for the step's operations besides, which a GPU does not. Peak memory of child
processes, 16 x 96 x 96 in batches of 4 of AssembleNet++-50 at a quarter of its width, was within 10 % of the sum with
each TrainSpec.rematerialise in float32 and bfloat16; optimizers, averages, clipping and parts of batches are in
devices/program.py. Steps that XLA compiles were not measured.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tensorflow as tf

from official_vision.architecture.cost.network_cost import estimate
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.modeling.execution import computing_kinds
from official_vision.private_apis import device_memory
from official_vision.training.cost_setting import setting_of
from official_vision.training.devices.activations import kept_values
from official_vision.training.devices.program import program_bytes
from official_vision.training.optimizers.update_cost import update_cost

_MEBIBYTE = 2**20
_BYTES = {"float32": 4, "mixed_bfloat16": 2, "mixed_float16": 2}  # of one activation
_STREAM_BYTES = {"rgb": 3, "flow": 8, "objects": 1}  # of a pixel


@dataclasses.dataclass(frozen=True)
class Need:
    """Bytes that a step needs on one device.

    Attributes:
      activations: what is in memory at once of the forward pass's values, and of their gradients.
      weights: the network's, with moving averages of batch norm, and their copies in half precision.
      gradients: of all weights; twice where parts of a batch are summed.
      slots: the optimizer's state, and the moving average of weights and of batch norms' statistics.
      inputs: clips of two batches: the one in use and the next.
      program: the operations of a step, in a CPU's memory; 0 of a GPU's.
    """

    activations: int
    weights: int
    gradients: int
    slots: int
    inputs: int
    program: int = 0

    @property
    def total(self) -> int:
        """Returns the sum."""
        return sum(dataclasses.astuple(self))


def need_of(config: Config, architecture: Architecture, replicas: int, on_cpu: bool) -> Need:
    """Estimates one device's need from the graph, without building the network.

    Args:
      config: every setting.
      architecture: as it will be built.
      replicas: devices that share a batch.
      on_cpu: the devices are CPUs.
    """
    train, data, model = config.train, config.train_data, config.model
    cost = estimate(architecture, setting_of(model, data))
    clips = -(-data.batch_size // replicas)
    in_memory = -(-clips // train.accumulation_steps)
    way = _rematerialised(config, architecture, replicas)
    quick = on_cpu and not (model.plain_tensorflow or train.compiled)
    of_clip = kept_values(cost, way, quick)
    trainable = 4 * cost.total.trainable
    weights = 4 * cost.total.parameters
    copies = trainable // 2 if train.precision != "float32" else 0
    average = weights if config.optimizer.ema_decay else 0
    update = update_cost(config.optimizer, train, data.batch_size)
    pixels = data.frames * data.size**2
    return Need(
        activations=in_memory * of_clip * _BYTES[train.precision],
        weights=weights + copies,
        gradients=trainable * (1 if train.accumulation_steps == 1 else 2),
        slots=trainable * update.slots + average,
        inputs=2 * clips * pixels * sum(_STREAM_BYTES[name] for name in architecture.streams),
        program=program_bytes(cost, way, train, update) if on_cpu else 0,
    )


def _rematerialised(config: Config, architecture: Architecture, replicas: int) -> str:
    """Returns what is computed again: norms only of bottlenecks on one device, where they are not synchronised."""
    way = config.train.rematerialise
    if way == "norms" and (replicas > 1 or architecture.block_kind != "bottleneck"):
        return "nothing"
    return way


def available(on_cpu: bool) -> tuple[int, str] | None:
    """Returns bytes of the first GPU, or free ones of this machine, and its name; None where it is unknown."""
    if not on_cpu:
        return device_memory("GPU")[0], "the GPU"
    table = Path("/proc/meminfo")
    if not table.is_file():
        return None
    rows = dict(line.split(":", 1) for line in table.read_text(encoding="ascii").splitlines())
    return 1024 * int(rows["MemAvailable"].split()[0]), "this machine"


def memory_line(
    config: Config, architecture: Architecture, strategy: tf.distribute.Strategy
) -> str:
    """Returns the memory that a run needs on each of its devices as a line.

    Args:
      config: every setting.
      architecture: as it will be built.
      strategy: of the run; not the current one, outside of whose replicas no optimizer is tried.
    """
    with strategy.scope():
        kinds, replicas = computing_kinds(), strategy.num_replicas_in_sync
    if "TPU" in kinds:
        return describe_need(need_of(config, architecture, replicas, on_cpu=False), None)
    on_cpu = kinds == {"CPU"}
    need = need_of(config, architecture, replicas, on_cpu)
    shares = on_cpu and config.train.strategy == "mirrored"
    return describe_need(need, available(on_cpu), replicas if shares else 1)


def describe_need(need: Need, has: tuple[int, str] | None, replicas_here: int = 1) -> str:
    """Describes the need beside the machine's memory; a warning with remedies where it won't fit.

    Args:
      need: of one device.
      has: see `available`.
      replicas_here: devices that share this machine's memory: logical CPU devices.
    """
    total = need.total * replicas_here
    parts = ", ".join(
        f"{name} {size / _MEBIBYTE:.0f}" for name, size in dataclasses.asdict(need).items()
    )
    line = f"memory: a step needs about {total / _MEBIBYTE:.0f} MiB ({parts})"
    if has is None:
        return line
    free, place = has
    line += f"; {place} has {free / _MEBIBYTE:.0f} MiB free"
    if total <= free:
        return line
    return (
        f"warning: {line}. It does not fit: set TrainSpec.accumulation_steps, TrainSpec.rematerialise = 'norms' or "
        "TrainSpec.precision = 'mixed_bfloat16', or make DataSpec.batch_size, frames or size smaller."
    )
