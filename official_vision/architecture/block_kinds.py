"""Kinds of blocks; each states what it accepts, which layers it has and what they cost.

A layer of modeling/ reads its numbers from the plan that is made here, and so does the cost model. CONTRIBUTING.md
lists what a new kind takes.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from official_vision.architecture.cost.layer_cost import (
    Count,
    batch_norm,
    convolution,
    summed,
)
from official_vision.architecture.layer_plans import (
    ConvolutionPlan,
    HeadPlan,
    ModulePlan,
    StemPlan,
)
from official_vision.architecture.refusal import fail, is_count

Channels = int | tuple[int, ...]
BOTTLENECK_EXPANSION = 4
_INPUT_CHANNELS = {"rgb": 3, "flow": 2}
_OBJECT_POOL = 4


@dataclasses.dataclass(frozen=True)
class BlockShape:
    """The form of a block's modules, by kind.

    Attributes:
      channels: of the block, after the width multiplier.
      middle_channels: M of the block's level, after the width multiplier.
      input_channels: width of the fused map.
      stride: of the first module.
      temporal_dilation: of convolutions of several frames.
      modules: how many.
      downsampling: middle or first, as in the architecture.
    """

    channels: Channels
    middle_channels: int
    input_channels: int
    stride: int
    temporal_dilation: int
    modules: int
    downsampling: str


class BlockKind(abc.ABC):
    """A kind of block, and the stems and the head of networks of such blocks.

    Attributes:
      numbers: number of channel counts that a block has.
      channel_sums: what the channels of each level sum to in the paper's networks; empty where it has no rule.
      head: between the last block and the classifier.
    """

    numbers: ClassVar[int] = 1
    channel_sums: ClassVar[Mapping[int, int]] = {}
    head: ClassVar[HeadPlan] = HeadPlan()

    @abc.abstractmethod
    def check(self, index: int, channels: Any) -> None:
        """Refuses channels that no block of this kind has.

        Args:
          index: of the node.
          channels: of the block, of any type.

        Raises:
          ArchitectureError: they are not what the kind takes.
        """

    @abc.abstractmethod
    def output_channels(self, channels: Channels) -> int:
        """Returns the width of the block's output."""

    @abc.abstractmethod
    def convolutions(
        self, block: BlockShape, position: int, input_channels: int
    ) -> tuple[ConvolutionPlan, ...]:
        """Returns the convolutions of one module.

        Args:
          block: the block.
          position: of the module; the first one, 0, has the block's stride.
          input_channels: of the module.
        """

    def modules(self, block: BlockShape) -> tuple[ModulePlan, ...]:
        """Returns the plan of a block's modules, of which the first one projects its shortcut."""
        plans, input_channels = [], block.input_channels
        for position in range(block.modules):
            convolutions = self.convolutions(block, position, input_channels)
            plans.append(ModulePlan(convolutions, position == 0, block.temporal_dilation))
            input_channels = plans[-1].output_channels
        return tuple(plans)

    def cost(self, module: ModulePlan, stride: int, positions: Callable[[int], int]) -> Count:
        """Counts a module; a kind with more than convolutions and norms in its modules adds the rest.

        Args:
          module: its plan.
          stride: of the module's input, from the input frame.
          positions: stride -> frames x height x width of a map.
        """
        count = Count()
        for plan in module.convolutions:
            stride *= plan.stride
            taps = plan.frames * plan.size**2
            count += convolution(positions(stride), taps, plan.inputs, plan.outputs)
            if plan.has_norm:
                count += batch_norm(positions(stride), plan.outputs, plan.activates)
        after, width = positions(stride), module.output_channels
        if module.projects:
            count += convolution(after, 1, module.input_channels, width)
            count += batch_norm(after, width, activates=False)
        return count + summed(after * width, 2) + Count(elementwise=after * width)

    def stem(self, stream: str, channels: int, temporal_dilation: int, rgb_pool: int) -> StemPlan:
        """Returns the plan of a stem: by default those of AssembleNet++ (arXiv 2008.08072, supplement A.1).

        Args:
          stream: rgb, flow or object.
          channels: of its output.
          temporal_dilation: of its temporal convolution, if it has one.
          rgb_pool: window of the rgb stem's max pool.
        """
        if stream == "object":
            return StemPlan(channels, 0, 0, pool_size=_OBJECT_POOL, pool_stride=_OBJECT_POOL)
        if stream == "flow":
            return StemPlan(channels, _INPUT_CHANNELS[stream], 7, pool_size=2)
        return StemPlan(channels, _INPUT_CHANNELS[stream], 7, 5, temporal_dilation, rgb_pool)

    def stem_stride(self, stream: str) -> int:
        """Returns a stem's stride from the input frame."""
        return self.stem(stream, 1, 1, 2).stride


class Bottleneck(BlockKind):
    """1x1 or a temporal convolution, 3x3, 1x1, in turn (AssembleNet++ supplement, A.1)."""

    # AssembleNet keeps a level's channel sum whatever the number of its blocks (supplement A.1).
    channel_sums: ClassVar = {0: 128, 1: 128, 2: 256, 3: 512, 4: 512}

    def check(self, index: int, channels: Any) -> None:
        """See `BlockKind.check`."""
        if not is_count(channels):
            rule = "A bottleneck block's channels are one positive whole number."
            fail(rule, channels, "Mend it.", index)

    def output_channels(self, channels: Channels) -> int:
        """See `BlockKind.output_channels`."""
        return BOTTLENECK_EXPANSION * channels

    def convolutions(
        self, block: BlockShape, position: int, input_channels: int
    ) -> tuple[ConvolutionPlan, ...]:
        """See `BlockKind.convolutions`."""
        stride = block.stride if position == 0 else 1
        first_stride = stride if block.downsampling == "first" else 1
        frames = 3 if position % 2 else 1
        middle, output = block.middle_channels, self.output_channels(block.channels)
        return (
            ConvolutionPlan(input_channels, block.channels, 1, frames, first_stride),
            ConvolutionPlan(block.channels, middle, 3, stride=stride // first_stride),
            ConvolutionPlan(middle, output, activates=False),
        )


class InvertedBottleneck(BlockKind):
    """1x1, 3x3x3 or where strided 3x3 and a temporal convolution, 1x1: the authors' -lite networks."""

    numbers = 3
    head = HeadPlan(432, 2048)  # as in the authors' code

    def check(self, index: int, channels: Any) -> None:
        """See `BlockKind.check`."""
        if not (
            isinstance(channels, tuple) and len(channels) == 3 and all(map(is_count, channels))
        ):
            rule = "An inverted bottleneck's channels are three whole numbers."
            fail(rule, channels, "Mend them.", index)

    def output_channels(self, channels: Channels) -> int:
        """See `BlockKind.output_channels`."""
        return channels[-1]

    def convolutions(
        self, block: BlockShape, position: int, input_channels: int
    ) -> tuple[ConvolutionPlan, ...]:
        """See `BlockKind.convolutions`."""
        first, middle, last = block.channels
        stride = block.stride if position == 0 else 1
        deep = (ConvolutionPlan(first, middle, 3, 3),)
        if stride > 1:
            deep = (
                ConvolutionPlan(first, middle, 3, stride=stride, has_norm=False),
                ConvolutionPlan(middle, middle, frames=3),
            )
        return (
            ConvolutionPlan(input_channels, first),
            *deep,
            ConvolutionPlan(middle, last, activates=False),
        )

    def stem(self, stream: str, channels: int, temporal_dilation: int, rgb_pool: int) -> StemPlan:
        """See `BlockKind.stem`."""
        if stream == "object":
            return super().stem(stream, channels, temporal_dilation, rgb_pool)
        return StemPlan(channels, _INPUT_CHANNELS[stream], 3, 3, temporal_dilation)


BLOCK_KINDS: dict[str, BlockKind] = {
    "bottleneck": Bottleneck(),
    "inverted_bottleneck": InvertedBottleneck(),
}


def kind_named(name: Any) -> BlockKind:
    """Returns the kind of that name.

    Raises:
      ArchitectureError: there is none.
    """
    if not isinstance(name, str) or name not in BLOCK_KINDS:
        fail("The block kind must be a known one.", name, f"Use one of {tuple(BLOCK_KINDS)}.")
    return BLOCK_KINDS[name]


def kind_of_several_numbers() -> str:
    """Returns the name of the first kind whose blocks have several numbers of channels."""
    return next(name for name, kind in BLOCK_KINDS.items() if kind.numbers > 1)
