"""The least memory of a training step, reported before it starts, beside the machine's memory.

Counted are values that must be in memory at once. Convolutions' work space and what the allocator keeps come on
top: on a CPU steps measured at 96 x 96 took 1.3 times as much, with rematerialisation 2.9 times.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import tensorflow as tf

from official_vision.architecture.cost.network_cost import Cost, estimate
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.private_apis import device_memory
from official_vision.training.cost_setting import setting_of
from official_vision.training.optimizers.build import make_optimizer

_MEBIBYTE = 2**20
# The backward pass reads a convolution's output and what norm and activation made of it.
_KEPT_PER_ACTIVATION = 2
_BYTES = {"float32": 4, "mixed_bfloat16": 2, "mixed_float16": 2}  # of one activation
_STREAM_BYTES = {"rgb": 3, "flow": 8, "objects": 1}  # of a pixel


@dataclasses.dataclass(frozen=True)
class Need:
    """Bytes that a step needs on one device.

    Attributes:
      activations: what the forward pass keeps for the backward pass.
      weights: the network's, with moving averages of batch norm.
      gradients: of all weights; twice where parts of a batch are summed.
      slots: the optimizer's state and the moving average of the weights.
      inputs: clips of two batches: the one in use and the next.
    """

    activations: int
    weights: int
    gradients: int
    slots: int
    inputs: int

    @property
    def total(self) -> int:
        """Returns the sum; the program's memory is not counted."""
        return sum(dataclasses.astuple(self))


def need_of(config: Config, architecture: Architecture, replicas: int) -> Need:
    """Estimates one device's need from the graph, without building the network.

    Args:
      config: every setting.
      architecture: as it will be built.
      replicas: devices that share a batch.
    """
    train, data, model = config.train, config.train_data, config.model
    cost = estimate(architecture, setting_of(model, data))
    clips = -(-data.batch_size // replicas)
    in_memory = -(-clips // train.accumulation_steps)
    of_clip = _KEPT[train.rematerialise](cost)
    weights = 4 * cost.total.parameters
    trainable = 4 * cost.total.trainable
    average = weights if config.optimizer.ema_decay else 0
    pixels = data.frames * data.size**2
    return Need(
        activations=in_memory * of_clip * _BYTES[train.precision] // 4,
        weights=weights,
        gradients=trainable * (1 if train.accumulation_steps == 1 else 2),
        slots=trainable * _slots(config) + average,
        inputs=2 * clips * pixels * sum(_STREAM_BYTES[name] for name in architecture.streams),
    )


def _all(cost: Cost) -> int:
    return _KEPT_PER_ACTIVATION * cost.total.activation_bytes


def _without_norms(cost: Cost) -> int:
    """Sums the outputs of convolutions and sums."""
    return cost.total.activation_bytes


def _between_nodes(cost: Cost) -> int:
    """Sums nodes' outputs and their pools, which stay, and the inside of only the greatest node."""
    outputs = 0
    for index in cost.alive:
        frames, height, width, channels = cost.shape(index)
        outputs += 4 * frames * height * width * channels
    inside = max(cost.of_node(index).activation_bytes for index in cost.alive)
    return outputs + cost.of_role("pool").activation_bytes + _KEPT_PER_ACTIVATION * inside


_KEPT = {"nothing": _all, "norms": _without_norms, "everything": _between_nodes}


def _slots(config: Config) -> int:
    """Counts the values that the optimizer stores for each weight, by making it and moving one."""
    spec = dataclasses.replace(config.optimizer, ema_decay=None)
    train = dataclasses.replace(config.train, precision="float32")
    optimizer = make_optimizer(spec, train, config.train_data.batch_size)
    probe = tf.Variable(tf.zeros([7, 5]), name="kernel")
    optimizer.apply_gradients([(tf.zeros_like(probe), probe)])
    state = optimizer.variables() if callable(optimizer.variables) else optimizer.variables
    return sum(variable.shape == probe.shape for variable in state)


def available() -> tuple[int, str] | None:
    """Returns bytes of the first GPU, else free ones of this machine, and its name; None where it is unknown."""
    if tf.config.list_physical_devices("GPU"):
        return device_memory("GPU")[0], "the GPU"
    table = Path("/proc/meminfo")
    if not table.is_file():
        return None
    rows = dict(line.split(":", 1) for line in table.read_text(encoding="ascii").splitlines())
    return 1024 * int(rows["MemAvailable"].split()[0]), "this machine"


def memory_line(config: Config, architecture: Architecture, replicas: int) -> str:
    """Returns the memory that a run needs as a line; arguments as of `need_of`."""
    has = available()
    shares = config.train.strategy == "mirrored" and has is not None and has[1] != "the GPU"
    need = need_of(config, architecture, replicas)
    return describe_need(need, has, replicas if shares else 1)


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
    line = f"memory: a step needs at least {total / _MEBIBYTE:.0f} MiB ({parts})"
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
