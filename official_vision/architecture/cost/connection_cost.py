"""The cost of each connection, so that a search can weigh connections against one another."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

from official_vision.architecture.cost.layer_cost import convolution, dense, max_pool
from official_vision.architecture.cost.network_cost import Setting
from official_vision.architecture.graph import Architecture
from official_vision.architecture.plan import NodePlan, make_plan

Connection = tuple[int, int]  # source, consumer


@dataclasses.dataclass(frozen=True)
class ConnectionCosts:
    """The price of each connection of the blocks that are built.

    Attributes:
      maps: of carrying the map: its pool, scaling and 1x1 convolution.
      gates: of the gate that each candidate would make, in the order of NodePlan.candidates; empty
        where no peer is to be chosen (then a gate's cost is part of the map's).
      unit: arithmetic (operations per clip, 2 per multiply-add) or seconds.
    """

    maps: Mapping[Connection, float]
    gates: Mapping[Connection, tuple[float, ...]]
    unit: str

    @property
    def full(self) -> float:
        """The costs of all connections, each with its most expensive candidate gate."""
        return sum(
            cost + max(self.gates[connection], default=0.0)
            for connection, cost in self.maps.items()
        )

    def expected(
        self,
        architecture: Architecture,
        strengths: Mapping[int, Sequence[float]],
        peers: Mapping[int, Sequence[Sequence[float]]],
    ) -> float:
        """Returns the share of `full` that strengths and peers amount to.

            sum over connections of sigmoid(w) * (map + sum over k of softmax(h)_k * gate_k) / full

        Args:
          architecture: of which these are the costs.
          strengths: sigmoid(w) of each block's inputs; a block without an entry has 1 for each.
          peers: softmax(h), one row per input, of blocks with one-shot gates.

        Returns:
          0 to 1.
        """
        spent = 0.0
        for (source, consumer), cost in self.maps.items():
            position = architecture.nodes[consumer].inputs.index(source)
            strength = strengths[consumer][position] if consumer in strengths else 1.0
            gates = self.gates[source, consumer]
            shares = peers[consumer][position] if gates else ()
            mixed = sum(p * gate for p, gate in zip(shares, gates, strict=True))
            spent += strength * (cost + mixed)
        return spent / self.full


def connection_costs(architecture: Architecture, setting: Setting) -> ConnectionCosts:
    """Counts the arithmetic of each connection.

    What several connections share (the pool of a node to one resolution, the 1x1 convolution of
    inputs of one width) is shared out evenly among them; averages that gates read serve the whole
    network and are left out.

    Args:
      architecture: the network.
      setting: of the costs.
    """
    plan = make_plan(architecture, setting.num_object_classes)
    alive = architecture.live_nodes(gated_by_peers=setting.gate == "peer")
    built = [node for node in plan if node.fusion is not None and node.index in alive]
    users = Counter(
        route
        for node in built
        for route in zip(node.fusion.inputs, node.fusion.pool_ratios, strict=True)
    )
    maps: dict[Connection, float] = {}
    gates: dict[Connection, tuple[float, ...]] = {}
    for node in built:
        read = node.gate_sources(setting.gate)
        for position, source in enumerate(node.fusion.inputs):
            peers = read[position].nodes if read else ()
            is_open = isinstance(peers, tuple)
            known = peers if is_open else (peers,)
            costs = tuple(_gate(node, position, plan[peer], setting) for peer in known)
            gates[source, node.index] = costs if is_open else ()
            maps[source, node.index] = (
                _carried(node, position, setting)
                + _pooled(node, position, setting)
                / users[source, node.fusion.pool_ratios[position]]
                + (0.0 if is_open else costs[0])
            )
    return ConnectionCosts(maps, gates, "arithmetic")


def _carried(node: NodePlan, position: int, setting: Setting) -> float:
    """Counts the scaling of a map, and its share of the 1x1 convolution to the fused width."""
    fusion, positions = node.fusion, setting.positions(node.input_stride)
    if len(fusion.inputs) == 1:  # passed on unchanged, except for a gate
        return float(positions * fusion.input_channels[0] * (setting.gate != "none"))
    width = fusion.input_channels[position]
    cost = float(positions * width)
    if width in fusion.convolved_widths:
        shared = convolution(positions, 1, width, fusion.target_channels)
        cost += shared.arithmetic / fusion.input_channels.count(width)
    return cost


def _pooled(node: NodePlan, position: int, setting: Setting) -> float:
    ratio, width = node.fusion.pool_ratios[position], node.fusion.input_channels[position]
    if ratio == 1:
        return 0.0
    return float(max_pool(setting.positions(node.input_stride), ratio**2, width).arithmetic)


def _gate(node: NodePlan, position: int, peer: NodePlan, setting: Setting) -> float:
    """Counts one vector per frame: a fully connected layer (none for a static gate) and the sigmoid."""
    width = node.fusion.input_channels[position]
    squashing = float(setting.frames * width)
    if setting.gate == "static":
        return squashing
    return squashing + dense(setting.frames, peer.output_channels, width).arithmetic
