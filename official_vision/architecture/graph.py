"""An architecture as data: stems, blocks, and the rules that make a graph a network."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from official_vision.architecture.block_kinds import BlockKind, kind_named
from official_vision.architecture.connections.graph_check import check_connected
from official_vision.architecture.connections.graph_check import strides as _strides
from official_vision.architecture.refusal import LARGEST_COUNT, is_count
from official_vision.architecture.refusal import ArchitectureError as ArchitectureError
from official_vision.architecture.refusal import fail as _fail
from official_vision.plain import make_fields_plain

STREAM_OF_STEM = {"rgb": "rgb", "flow": "flow", "object": "objects"}
LEVELS = (1, 2, 3, 4)
# Residual modules of a block at levels 1 to 4, by the usual name of the depth.
MODULES_BY_DEPTH = {
    26: (2, 2, 2, 2),
    38: (2, 4, 4, 2),
    50: (3, 4, 6, 3),
    68: (3, 4, 12, 3),
    77: (3, 4, 15, 3),
    101: (3, 4, 23, 3),
}
# Zeros around what a strided convolution sees: the same number on every side, or TensorFlow's SAME.
PADDINGS = ("symmetric", "same")
# The convolution that has a block's stride: the 3x3 of its first module, or the 1x1 before it.
DOWNSAMPLINGS = ("middle", "first")


@dataclasses.dataclass(frozen=True)
class Stem:
    """A level-0 node, which reads one stream.

    Attributes:
      kind: rgb, flow or object.
      channels: of its output; an object stem has Table 1's number of classes here, but the model's
        setting wins.
      temporal_dilation: of an rgb stem's temporal convolution, in frames.
      spatial_stride: from the input frame to the output.
    """

    kind: str
    channels: int
    temporal_dilation: int = 1
    spatial_stride: int = 4

    level = 0
    inputs = ()

    def __post_init__(self) -> None:
        make_fields_plain(self)


@dataclasses.dataclass(frozen=True)
class Block:
    """A convolutional block of levels 1 to 4.

    Attributes:
      level: 1 to 4; sets the number of residual modules and the width of their 3x3 convolutions.
      inputs: earlier nodes that feed the block.
      channels: C of Table 1, or three numbers for an inverted bottleneck.
      temporal_dilation: of the block's temporal convolutions, in frames.
      spatial_stride: of the block's first module.
      strengths: each connection's strength after the sigmoid, in (0, 1); None leaves them to learn.
      peers: the node that gates each connection (discrete attention); None for one-shot.
    """

    level: int
    inputs: tuple[int, ...]
    channels: int | tuple[int, int, int]
    temporal_dilation: int = 1
    spatial_stride: int = 1
    strengths: tuple[float, ...] | None = None
    peers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        make_fields_plain(self)


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A whole network, checked when it is made.

    Attributes:
      name: shown in tables and drawings.
      nodes: stems first, then blocks, each fed by earlier nodes; the blocks of the highest level feed
        the classifier.
      depth: the residual modules of each level, by the usual name (MODULES_BY_DEPTH).
      block_kind: a name of architecture/block_kinds.py.
      width_multiplier: scales every convolution's channels; 1 is as published.
      rgb_pool_size: window of the rgb stem's max pool: 2 in the supplement, 3 in the authors' file.
      convolution_padding: of strided convolutions: symmetric as in the authors' code, or same (TensorFlow's
        SAME, which on even sizes pads one pixel less in front).
      stem_pool_padding: of the stems' max pools: same as in the authors' code, or symmetric as in ResNets.
      downsampling: where a bottleneck block has its stride: middle (its first 3x3 convolution) or first (the
        1x1 convolution before it, as the ResNets of Keras have).
      provenance: how and on what the graph was learned; plain JSON values.
    """

    name: str
    nodes: tuple[Stem | Block, ...]
    depth: int = 50
    block_kind: str = "bottleneck"
    width_multiplier: float = 1.0
    rgb_pool_size: int = 2
    convolution_padding: str = "symmetric"
    stem_pool_padding: str = "same"
    downsampling: str = "middle"
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        make_fields_plain(self)
        if isinstance(self.nodes, list):
            object.__setattr__(self, "nodes", tuple(self.nodes))
        _check_header(self)
        for index, node in enumerate(self.nodes):
            _check_node(index, node, self)
        check_connected(self)

    @property
    def kind(self) -> BlockKind:
        """The kind that `block_kind` names."""
        return kind_named(self.block_kind)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Indices of the blocks of the highest level: the classifier reads the mean of their averages.

        A block among them that also feeds another of them counts like the others.
        """
        highest = max(node.level for node in self.nodes)
        return tuple(i for i, node in enumerate(self.nodes) if node.level == highest)

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams that the stems read, in the order rgb, flow, objects."""
        kinds = {node.kind for node in self.nodes if isinstance(node, Stem)}
        return tuple(stream for kind, stream in STREAM_OF_STEM.items() if kind in kinds)

    def modules(self, level: int) -> int:
        """Returns the number of residual modules of a block at `level`."""
        return MODULES_BY_DEPTH[self.depth][level - 1]

    def connections(self) -> Iterator[tuple[int, int]]:
        """Yields (source, consumer) for every connection, by consumer."""
        for index, node in enumerate(self.nodes):
            for source in node.inputs:
                yield source, index

    def strides(self) -> tuple[int, ...]:
        """Returns each node's stride from the input frame, in height and width."""
        return _strides(self.nodes)

    def live_nodes(self, gated_by_peers: bool) -> frozenset[int]:
        """Returns the nodes that can change the logits.

        Table 1's node 9 feeds no block: it lives as a candidate peer alone, and not at all where
        connections have no peer gates.

        Args:
          gated_by_peers: named peers count, and all candidates of blocks that name none.
        """
        alive = {*self.outputs}
        for index in range(len(self.nodes) - 1, -1, -1):
            if index in alive:
                alive.update(self.nodes[index].inputs)
                alive.update(self._peers(index) if gated_by_peers else ())
        return frozenset(alive)

    def _peers(self, index: int) -> tuple[int, ...]:
        node = self.nodes[index]
        if isinstance(node, Stem):
            return ()
        if node.peers is not None:
            return node.peers
        return tuple(
            i for i, earlier in enumerate(self.nodes[:index]) if earlier.level < node.level
        )

    def with_settings(self, depth: int | None, width_multiplier: float | None) -> Architecture:
        """Returns the same graph, with another depth or width; None leaves it unchanged."""
        return dataclasses.replace(
            self,
            depth=self.depth if depth is None else depth,
            width_multiplier=self.width_multiplier
            if width_multiplier is None
            else width_multiplier,
        )

    def is_discrete(self) -> bool:
        """Returns whether every block names the peers of its connections."""
        return all(node.peers is not None for node in self.nodes if isinstance(node, Block))

    def warnings(self) -> tuple[str, ...]:
        """Returns what is unusual without being wrong: idle blocks and odd channel sums."""
        return (*self._idle_blocks(), *self._odd_channel_sums())

    def _idle_blocks(self) -> tuple[str, ...]:
        alive = self.live_nodes(gated_by_peers=False)
        return tuple(
            f"{self.name}: node {index} reaches the classifier only as a peer; without peer gates it "
            "is left out."
            for index in range(len(self.nodes))
            if index not in alive
        )

    def _odd_channel_sums(self) -> tuple[str, ...]:
        expected = self.kind.channel_sums
        if not expected:
            return ()
        sums: dict[int, int] = {}
        for node in self.nodes:
            if getattr(node, "kind", "") != "object":
                sums[node.level] = sums.get(node.level, 0) + node.channels
        return tuple(
            f"{self.name}: channels of level {level} sum to {total}, not "
            f"{expected[level]} as in the paper's networks."
            for level, total in sorted(sums.items())
            if total != expected[level]
        )


def _check_header(graph: Architecture) -> None:
    if not isinstance(graph.name, str) or not graph.name or not graph.name.isprintable():
        _fail("An architecture needs a name of one line.", graph.name, "Give it a short text.")
    if not isinstance(graph.nodes, tuple) or not graph.nodes:
        _fail("An architecture needs nodes.", graph.nodes, "List stems, then blocks.")
    if type(graph.depth) is not int or graph.depth not in MODULES_BY_DEPTH:
        _fail(
            "The depth must be a known one.", graph.depth, f"Use one of {tuple(MODULES_BY_DEPTH)}."
        )
    kind_named(graph.block_kind)
    multiplier = graph.width_multiplier
    if type(multiplier) not in (int, float) or not 0 < multiplier <= 64:
        _fail("The width multiplier must lie in (0, 64].", multiplier, "1 is as published.")
    if not is_count(graph.rgb_pool_size) or graph.rgb_pool_size > 64:
        _fail("The rgb pool must be a whole number of pixels.", graph.rgb_pool_size, "Use 2 or 3.")
    for name, choices in (
        ("convolution_padding", PADDINGS),
        ("stem_pool_padding", PADDINGS),
        ("downsampling", DOWNSAMPLINGS),
    ):
        if getattr(graph, name) not in choices:
            _fail(
                f"The {name} must be a known one.", getattr(graph, name), f"Use one of {choices}."
            )
    if not isinstance(graph.provenance, dict) or not _is_json(graph.provenance):
        _fail("The provenance must be a dict of plain JSON values.", graph.provenance, "Use {}.")


def _is_json(value: Any) -> bool:
    """Returns whether JSON keeps the value as it is: no tuples, no numbers as keys, nothing infinite."""
    try:
        return json.loads(json.dumps(value, allow_nan=False)) == value
    except (TypeError, ValueError, RecursionError):
        return False


def _check_node(index: int, node: Any, graph: Architecture) -> None:
    if isinstance(node, Stem):
        _check_stem(index, node, graph)
    elif isinstance(node, Block):
        _check_block(index, node, graph)
        _check_connections(index, node, graph)
        _check_strengths(index, node)
        _check_peers(index, node, graph)
    else:
        _fail("A node must be a Stem or a Block.", node, "Use one of the two.", index)


def _check_counts(index: int, node: Stem | Block, names: Sequence[str]) -> None:
    for name in names:
        if not is_count(getattr(node, name)):
            rule = f"The {name} must be a whole number from 1 to {LARGEST_COUNT}."
            _fail(rule, getattr(node, name), "Mend it.", index)


def _check_stem(index: int, stem: Stem, graph: Architecture) -> None:
    if not isinstance(stem.kind, str) or stem.kind not in STREAM_OF_STEM:
        _fail(
            "A stem reads a known stream.", stem.kind, f"Use one of {tuple(STREAM_OF_STEM)}.", index
        )
    _check_counts(index, stem, ("channels", "temporal_dilation", "spatial_stride"))
    stride = graph.kind.stem_stride(stem.kind)
    if stem.spatial_stride != stride:
        _fail(
            "A stem's stride is what its layers give.",
            stem.spatial_stride,
            f"Use {stride}.",
            index,
        )
    if index and isinstance(graph.nodes[index - 1], Block):
        _fail("Stems come before blocks.", stem.kind, "Move the stem to the front.", index)


def _check_block(index: int, block: Block, graph: Architecture) -> None:
    if type(block.level) is not int or block.level not in LEVELS:
        _fail("A block's level must be 1 to 4.", block.level, "Stems alone are level 0.", index)
    _check_counts(index, block, ("temporal_dilation", "spatial_stride"))
    graph.kind.check(index, block.channels)


def _check_connections(index: int, block: Block, graph: Architecture) -> None:
    inputs = block.inputs
    if not isinstance(inputs, tuple) or not inputs or any(type(i) is not int for i in inputs):
        _fail(
            "A block needs a tuple of input nodes.",
            inputs,
            "Name at least one earlier node.",
            index,
        )
    if len(set(inputs)) != len(inputs):
        _fail("A block names each input once.", inputs, "Remove the repeated one.", index)
    for source in inputs:
        if not 0 <= source < index:
            _fail("Inputs are earlier nodes.", source, f"Use 0 to {index - 1}.", index)
        if graph.nodes[source].level > block.level:
            _fail("Inputs are never of a higher level.", source, "Remove the connection.", index)
    strides = _strides(graph.nodes[:index])
    coarsest = max(strides[source] for source in inputs)
    for source in inputs:
        if coarsest % strides[source]:
            _fail(
                "Strides of inputs must divide the coarsest one's.",
                {i: strides[i] for i in inputs},
                "Change a stride or remove the connection.",
                index,
            )


def _check_strengths(index: int, block: Block) -> None:
    if block.strengths is None:
        return
    valid = (
        isinstance(block.strengths, tuple)
        and len(block.strengths) == len(block.inputs)
        and all(type(s) is float and math.isfinite(s) and 0 < s < 1 for s in block.strengths)
    )
    if not valid:
        _fail(
            "Strengths lie between 0 and 1, one per input.",
            block.strengths,
            "Use null to learn them.",
            index,
        )


def _check_peers(index: int, block: Block, graph: Architecture) -> None:
    if block.peers is None:
        return
    if not isinstance(block.peers, tuple) or len(block.peers) != len(block.inputs):
        _fail(
            "Peers are one node an input.", block.peers, "Use null for one-shot attention.", index
        )
    for peer in block.peers:
        if type(peer) is not int or not 0 <= peer < index or graph.nodes[peer].level >= block.level:
            _fail("A peer is an earlier node of a lower level.", peer, "Choose another.", index)
