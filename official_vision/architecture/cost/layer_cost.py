"""The cost of one layer by formula: parameters, arithmetic and memory.

Conventions, for a batch of one clip: a multiply-add is 2 FLOPs; padding counts as data (as in
TensorFlow's profiler); a batch norm has 4 parameters per channel, 2 of them moving averages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

_BYTES_PER_VALUE = 4  # float32


@dataclasses.dataclass(frozen=True)
class Count:
    """The cost of a part of the network.

    Attributes:
      trainable: parameters that training moves.
      moving: moving means and variances of batch norms.
      flops: of convolutions and fully connected layers, 2 per multiply-add.
      elementwise: all other arithmetic: norms, activations, pools, sums and scalings.
      activation_bytes: outputs of convolutions, fully connected layers, pools, fusions and residual
        sums in float32: the least that a training step keeps. Norms and activations work in place.
    """

    trainable: int = 0
    moving: int = 0
    flops: int = 0
    elementwise: int = 0
    activation_bytes: int = 0

    @property
    def parameters(self) -> int:
        """All parameters, moving averages included."""
        return self.trainable + self.moving

    @property
    def arithmetic(self) -> int:
        """All operations, of layers and elementwise."""
        return self.flops + self.elementwise

    def __add__(self, other: Count) -> Count:
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Count(*(a + b for a, b in zip(mine, others, strict=True)))


def total(counts: Iterable[Count]) -> Count:
    """Returns the sum; zero for no counts."""
    return sum(counts, Count())


def convolution(positions: int, taps: int, inputs: int, outputs: int) -> Count:
    """Counts a convolution without bias.

    Args:
      positions: frames x height x width of the output.
      taps: positions under the kernel, e.g. 9 for 3x3.
      inputs, outputs: channels.
    """
    weights = taps * inputs * outputs
    return Count(
        trainable=weights,
        flops=2 * positions * weights,
        activation_bytes=_BYTES_PER_VALUE * positions * outputs,
    )


def batch_norm(positions: int, channels: int, activates: bool = True) -> Count:
    """Counts a batch norm (scale and shift), followed by a ReLU or not."""
    return Count(
        trainable=2 * channels,
        moving=2 * channels,
        elementwise=(3 if activates else 2) * positions * channels,
    )


def dense(rows: int, inputs: int, outputs: int, has_bias: bool = True) -> Count:
    """Counts a fully connected layer on `rows` vectors."""
    layer = convolution(rows, 1, inputs, outputs)
    if not has_bias:
        return layer
    return layer + Count(trainable=outputs, elementwise=rows * outputs)


def max_pool(positions: int, window: int, channels: int) -> Count:
    """Counts a max pool; `positions` are of its output and `window` is the number of inputs of each."""
    values = positions * channels
    return Count(elementwise=(window - 1) * values, activation_bytes=_BYTES_PER_VALUE * values)


def summed(values: int, maps: int) -> Count:
    """Counts the sum of several maps of `values` values; one map alone costs nothing."""
    if maps == 1:
        return Count()
    return Count(elementwise=(maps - 1) * values, activation_bytes=_BYTES_PER_VALUE * values)
