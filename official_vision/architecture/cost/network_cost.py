"""The cost of a network, computed from its graph before any model is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from official_vision.architecture.cost.layer_cost import (
    Count,
    batch_norm,
    convolution,
    dense,
    max_pool,
    summed,
    total,
)
from official_vision.architecture.graph import STREAM_OF_STEM, Architecture, Stem
from official_vision.architecture.layer_plans import StemPlan
from official_vision.architecture.plan import NodePlan, make_plan
from official_vision.errors import UserError

GATES = ("none", "static", "self", "peer")
# Arithmetic of one pixel of one pair of frames (modeling/flow.py): a TV-L1 iteration, and the rest.
_FLOW_ITERATION, _FLOW_SETUP = 50, 14


@dataclasses.dataclass(frozen=True)
class Setting:
    """The settings besides the graph on which a cost depends, for a batch of one clip.

    Attributes:
      gate: none, static, self or peer, as in the model's specification.
      frames, size: of the clip; height and width are equal.
      num_classes: of the classifier.
      num_object_classes: channels of object stems.
      frame_pooling: max, mean, softmax or softmax_logits.
      flow_source: stored, or computed inside the model.
      flow_iterations: of the computed flow.
    """

    gate: str = "peer"
    frames: int = 32
    size: int = 224
    num_classes: int = 157
    num_object_classes: int = 151
    frame_pooling: str = "max"
    flow_source: str = "stored"
    flow_iterations: int = 40

    def positions(self, stride: int) -> int:
        """Returns frames * height * width of a map whose stride from the input frame is `stride`; sizes round up."""
        side = -(-self.size // stride)
        return self.frames * side * side

    def __post_init__(self) -> None:
        if self.gate not in GATES:
            raise UserError(f"The gate is one of {', '.join(GATES)}. Received: {self.gate!r}.")
        for name in ("frames", "size", "num_classes", "num_object_classes"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise UserError(f"{name} must be a whole number from 1 on. Received: {value!r}.")


@dataclasses.dataclass(frozen=True)
class Part:
    """One entry of the bill.

    Attributes:
      role: flow, stem, average (what a gate reads of a node), pool (before a fusion), connection
        (its strength and scaling), gate, fusion (sums and 1x1 convolutions), modules or head.
      node: the node that the part belongs to; None for flow and head.
      count: what it costs.
      source: the input node, for a pool, connection or gate.
    """

    role: str
    node: int | None
    count: Count
    source: int | None = None


@dataclasses.dataclass(frozen=True)
class Cost:
    """The bill of a network, node by node.

    Attributes:
      architecture, setting: what the bill is of.
      plan: every node's numbers.
      alive: nodes that can change the output; the others are not built.
      parts: the entries.
    """

    architecture: Architecture
    setting: Setting
    plan: tuple[NodePlan, ...]
    alive: frozenset[int]
    parts: tuple[Part, ...]

    @property
    def total(self) -> Count:
        """The whole network."""
        return total(part.count for part in self.parts)

    def of_node(self, index: int) -> Count:
        """Returns the cost of a node with its incoming connections and gates."""
        return total(part.count for part in self.parts if part.node == index)

    def of_role(self, *roles: str) -> Count:
        """Returns the cost of all parts of some roles (see `Part`)."""
        return total(part.count for part in self.parts if part.role in roles)

    def of_connection(self, source: int, consumer: int) -> Count:
        """Returns the cost of a connection's pool, strength, scaling and gate; 1x1 convolutions serve several."""
        return total(
            part.count for part in self.parts if part.node == consumer and part.source == source
        )

    def of_streams(self) -> dict[str, Count]:
        """Returns the costs of the nodes by the streams that feed them, e.g. rgb, flow and rgb+flow.

        Flow computed in the model counts as flow, the classifier as all outputs together.
        """
        fed = fed_by(self.architecture)
        bill: dict[str, Count] = {}
        for part in self.parts:
            reached = feeding_classifier(self.architecture) if part.node is None else fed[part.node]
            key = "flow" if part.role == "flow" else "+".join(reached)
            bill[key] = bill.get(key, Count()) + part.count
        return dict(sorted(bill.items(), key=lambda item: (item[0].count("+"), item[0])))

    def shape(self, index: int) -> tuple[int, int, int, int]:
        """Returns a node's output, (frames, height, width, channels)."""
        side = -(-self.setting.size // self.plan[index].stride)
        return self.setting.frames, side, side, self.plan[index].output_channels


def fed_by(architecture: Architecture) -> tuple[tuple[str, ...], ...]:
    """Returns the streams that feed each node, through connections alone (gates only open them)."""
    fed: list[set[str]] = []
    for node in architecture.nodes:
        streams = {STREAM_OF_STEM[node.kind]} if isinstance(node, Stem) else set()
        fed.append(streams.union(*(fed[source] for source in node.inputs)))
    return tuple(
        tuple(stream for stream in STREAM_OF_STEM.values() if stream in streams) for streams in fed
    )


def feeding_classifier(architecture: Architecture) -> tuple[str, ...]:
    """Returns the streams that reach the classifier through connections alone."""
    fed = fed_by(architecture)
    reached = {stream for index in architecture.outputs for stream in fed[index]}
    return tuple(stream for stream in STREAM_OF_STEM.values() if stream in reached)


def estimate(architecture: Architecture, setting: Setting = Setting()) -> Cost:
    """Adds up what the network of modeling/ will cost.

    Args:
      architecture: with the depth and width that will be built.
      setting: the rest.
    """
    plan = make_plan(architecture, setting.num_object_classes)
    alive = architecture.live_nodes(gated_by_peers=setting.gate == "peer")
    bill = _Bill(architecture, setting, plan)
    parts = list(bill.flow())
    for node in plan:
        if node.index in alive:
            parts.extend(bill.node(node))
    parts.extend(bill.head())
    return Cost(architecture, setting, plan, alive, tuple(parts))


class _Bill:
    """Walks the graph as modeling/network.py does, sharing pools and averages among consumers."""

    def __init__(self, architecture: Architecture, setting: Setting, plan: tuple[NodePlan, ...]):
        self._architecture = architecture
        self._setting = setting
        self._plan = plan
        self._averaged: set[tuple[int, int]] = set()
        self._pooled: set[tuple[int, int]] = set()

    def flow(self) -> Iterator[Part]:
        if self._setting.flow_source != "computed" or "flow" not in self._architecture.streams:
            return
        positions = self._setting.positions(1)
        arithmetic = _FLOW_ITERATION * self._setting.flow_iterations + _FLOW_SETUP
        pairs = positions // self._setting.frames * (self._setting.frames - 1)
        yield Part("flow", None, Count(0, 0, 0, arithmetic * pairs, 4 * 2 * positions))

    def node(self, node: NodePlan) -> Iterator[Part]:
        if node.stem is not None:
            yield Part("stem", node.index, self._stem(node.stem))
            return
        for source, ratio in zip(node.fusion.inputs, node.fusion.pool_ratios, strict=True):
            if ratio > 1 and (source, ratio) not in self._pooled:
                self._pooled.add((source, ratio))
                count = max_pool(
                    self._setting.positions(node.input_stride),
                    ratio**2,
                    self._plan[source].output_channels,
                )
                yield Part("pool", node.index, count, source)
        yield from self._gates(node)
        yield from self._fusion(node)
        yield Part("modules", node.index, self._modules(node))

    def _stem(self, stem: StemPlan) -> Count:
        width, count, stride = stem.channels, Count(), 1
        if stem.kernel_size:
            stride = 2
            positions = self._setting.positions(stride)
            count += convolution(positions, stem.kernel_size**2, stem.input_channels, width)
            count += batch_norm(positions, width)
            if stem.temporal_kernel_size:
                count += convolution(positions, stem.temporal_kernel_size, width, width)
                count += batch_norm(positions, width)
        if stem.pool_size:
            positions = self._setting.positions(stride * stem.pool_stride)
            count += max_pool(positions, stem.pool_size**2, width)
        return count

    def _gates(self, node: NodePlan) -> Iterator[Part]:
        sources = node.gate_sources(self._setting.gate)
        # Without gates there are no sources.
        for source, read in zip(node.fusion.inputs, sources, strict=bool(sources)):
            if self._setting.gate != "static":
                for peer, ratio in read.maps():
                    yield from self._average(peer, ratio)
            width = self._plan[source].output_channels
            yield Part("gate", node.index, self._gate(width, read.nodes), source)

    def _average(self, node: int, ratio: int) -> Iterator[Part]:
        if (node, ratio) in self._averaged:
            return
        self._averaged.add((node, ratio))
        width = self._plan[node].output_channels
        values = self._setting.positions(self._plan[node].stride * ratio) * width
        yield Part("average", node, Count(elementwise=values))

    def _gate(self, width: int, read: int | tuple[int, ...]) -> Count:
        rows = self._setting.frames
        squashing = Count(elementwise=rows * width)
        if self._setting.gate == "static":
            return Count(trainable=width) + squashing
        if not isinstance(read, tuple):
            return dense(rows, self._plan[read].output_channels, width) + squashing
        widths = [self._plan[candidate].output_channels for candidate in read]
        widest = max(widths)
        maps = (dense(rows, k, widest, has_bias=False) for k in widths if k != widest)
        mixing = Count(trainable=len(widths), elementwise=2 * rows * widest * len(widths))
        return total(maps) + mixing + dense(rows, widest, width) + squashing

    def _fusion(self, node: NodePlan) -> Iterator[Part]:
        fusion, positions = node.fusion, self._setting.positions(node.input_stride)
        is_weighted, is_gated = len(fusion.inputs) > 1, self._setting.gate != "none"
        for source, width in zip(fusion.inputs, fusion.input_channels, strict=True):
            # Strength and gate are multiplied first, so that the map is scaled once. Where the network scales a
            # kernel in its place, which depends on sizes, it is less.
            scaling = positions * width if is_weighted or is_gated else 0
            merging = self._setting.frames * width if is_weighted and is_gated else 0
            count = Count(trainable=int(is_weighted), elementwise=scaling + merging)
            yield Part("connection", node.index, count, source)
        if not is_weighted:
            return
        groups = {width: fusion.input_channels.count(width) for width in fusion.input_channels}
        counts = [summed(positions * width, maps) for width, maps in groups.items()]
        counts += [
            convolution(positions, 1, width, fusion.target_channels)
            for width in fusion.convolved_widths
        ]
        counts.append(summed(positions * fusion.target_channels, len(groups)))
        yield Part("fusion", node.index, total(counts))

    def _modules(self, node: NodePlan) -> Count:
        count, stride = Count(), node.input_stride
        for module in node.modules:
            count += self._architecture.kind.cost(module, stride, self._setting.positions)
            stride *= module.stride
        return count

    def head(self) -> Iterator[Part]:
        outputs = [self._plan[index] for index in self._architecture.outputs]
        setting, features, count = self._setting, outputs[0].output_channels, Count()
        positions = sum(setting.positions(output.stride) for output in outputs)
        averaged, head = features, self._architecture.kind.head
        if head.final_channels:
            averaged = head.final_channels
            count += convolution(positions, 1, features, averaged) + batch_norm(positions, averaged)
            features = averaged
        count += Count(elementwise=positions * averaged)
        if head.hidden_channels:
            count += dense(setting.frames, features, head.hidden_channels, has_bias=False)
            count += Count(elementwise=setting.frames * head.hidden_channels)
            features = head.hidden_channels
        if len(outputs) > 1:  # the mean of the outputs' averages
            count += Count(elementwise=setting.frames * averaged * len(outputs))
        count += dense(setting.frames, features, setting.num_classes)
        count += Count(elementwise=setting.frames * setting.num_classes)
        if setting.frame_pooling == "softmax":
            count += dense(setting.frames, features, 1)
        yield Part("head", None, count)
