"""The sizes of all nodes of an architecture, which the layers, the cost model and the tables read here."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from official_vision.architecture.block_kinds import BlockShape
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.layer_plans import ModulePlan, StemPlan

# Channels M of a block's 3x3 convolutions, by level (AssembleNet++ supplement, A.1).
MIDDLE_CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512}


class GateSource(NamedTuple):
    """The nodes whose average opens a gate.

    Attributes:
      nodes: one node, or the candidates of a one-shot gate.
      ratio: window and stride of the max pool before the average; 1 for none.
    """

    nodes: int | tuple[int, ...]
    ratio: int

    def maps(self) -> tuple[tuple[int, int], ...]:
        """Returns the (node, pooling ratio) of every map that is averaged."""
        nodes = self.nodes if isinstance(self.nodes, tuple) else (self.nodes,)
        return tuple((node, self.ratio) for node in nodes)


@dataclasses.dataclass(frozen=True)
class FusionPlan:
    """The fusion of a block's inputs into one map.

    Attributes:
      inputs: node indices.
      input_channels: width of each input.
      pool_ratios: window and stride of each input's max pool; 1 for none.
      target_channels: width of the fused map: the widest input that is not an object stem.
    """

    inputs: tuple[int, ...]
    input_channels: tuple[int, ...]
    pool_ratios: tuple[int, ...]
    target_channels: int

    @property
    def convolved_widths(self) -> tuple[int, ...]:
        """Widths that pass a 1x1 convolution: those that differ from the target; none if there is one input."""
        if len(self.inputs) == 1:
            return ()
        return tuple(w for w in dict.fromkeys(self.input_channels) if w != self.target_channels)

    @property
    def output_channels(self) -> int:
        """Width of the fused map; a single input keeps its width."""
        return self.input_channels[0] if len(self.inputs) == 1 else self.target_channels


@dataclasses.dataclass(frozen=True)
class NodePlan:
    """The sizes of a node.

    Attributes:
      index, level: as in the architecture.
      channels: of the architecture, after the width multiplier.
      middle_channels: M after the width multiplier; 0 for stems.
      output_channels: width of the node's output.
      input_stride, stride: of the fused input and of the output, from the input frame.
      candidates: nodes of a lower level: the peers that one-shot attention chooses from.
      peers: that the block names, one for each input; None where it names none.
      fusion: None for stems.
      modules: the block's residual modules; none for stems.
      stem: None for blocks.
    """

    index: int
    level: int
    channels: int | tuple[int, ...]
    middle_channels: int
    output_channels: int
    input_stride: int
    stride: int
    candidates: tuple[int, ...] = ()
    peers: tuple[int, ...] | None = None
    fusion: FusionPlan | None = None
    modules: tuple[ModulePlan, ...] = ()
    stem: StemPlan | None = None

    def gate_sources(self, mode: str) -> list[GateSource]:
        """Returns the source of each connection's gate; nothing without gates.

        A self gate reads its input as it is pooled for the connection; peers are read unpooled.

        Args:
          mode: none, static, self or peer; named peers make a block's gates discrete.
        """
        if mode == "none" or self.fusion is None:
            return []
        inputs = self.fusion.inputs
        if mode == "peer":
            return [GateSource(nodes, 1) for nodes in self.peers or [self.candidates] * len(inputs)]
        ratios = self.fusion.pool_ratios if mode == "self" else [1] * len(inputs)
        return list(map(GateSource, inputs, ratios))


def make_plan(architecture: Architecture, num_object_classes: int = 151) -> tuple[NodePlan, ...]:
    """Works out every node's numbers.

    Args:
      architecture: the graph.
      num_object_classes: width of object stems, which no multiplier scales.

    Returns:
      One plan per node, in the architecture's order.
    """
    plans: list[NodePlan] = []
    strides = architecture.strides()
    for index, node in enumerate(architecture.nodes):
        if isinstance(node, Stem):
            plans.append(_stem(index, node, architecture, num_object_classes))
        else:
            plans.append(_block(index, node, architecture, plans, strides))
    return tuple(plans)


def _scaled(channels: int, architecture: Architecture) -> int:
    return max(1, round(channels * architecture.width_multiplier))


def _stem(index: int, stem: Stem, architecture: Architecture, num_object_classes: int) -> NodePlan:
    channels = num_object_classes if stem.kind == "object" else _scaled(stem.channels, architecture)
    layers = architecture.kind.stem(
        stem.kind, channels, stem.temporal_dilation, architecture.rgb_pool_size
    )
    return NodePlan(index, 0, channels, 0, channels, 1, layers.stride, stem=layers)


def _block(
    index: int,
    block: Block,
    architecture: Architecture,
    plans: list[NodePlan],
    strides: tuple[int, ...],
) -> NodePlan:
    kind = architecture.kind
    if isinstance(block.channels, tuple):
        channels = tuple(_scaled(c, architecture) for c in block.channels)
    else:
        channels = _scaled(block.channels, architecture)
    middle_channels = _scaled(MIDDLE_CHANNELS[block.level], architecture)
    coarsest = max(strides[source] for source in block.inputs)
    fusion = _fusion(block, architecture, plans, coarsest)
    shape = BlockShape(
        channels,
        middle_channels,
        fusion.output_channels,
        block.spatial_stride,
        block.temporal_dilation,
        architecture.modules(block.level),
        architecture.downsampling,
    )
    return NodePlan(
        index=index,
        level=block.level,
        channels=channels,
        middle_channels=middle_channels,
        output_channels=kind.output_channels(channels),
        input_stride=coarsest,
        stride=strides[index],
        candidates=tuple(plan.index for plan in plans if plan.level < block.level),
        peers=block.peers,
        fusion=fusion,
        modules=kind.modules(shape),
    )


def _fusion(
    block: Block, architecture: Architecture, plans: list[NodePlan], coarsest: int
) -> FusionPlan:
    widths = tuple(plans[source].output_channels for source in block.inputs)
    learned = [
        width
        for source, width in zip(block.inputs, widths, strict=True)
        if getattr(architecture.nodes[source], "kind", "") != "object"
    ]
    # Fed by objects alone, a block has only their width to go by.
    target = max(learned or widths)
    ratios = tuple(coarsest // plans[source].stride for source in block.inputs)
    return FusionPlan(block.inputs, widths, ratios, target)
