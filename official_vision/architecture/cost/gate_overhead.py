"""The overhead of peer attention, beside the paper's figures (supplement A.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from official_vision.architecture.connections.derive import derive
from official_vision.architecture.cost.network_cost import Cost, Setting, estimate
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.plan import NodePlan, make_plan

# Supplement A.2, for the discrete AssembleNet++-50.
PAPER_FLOPS_PERCENT = 0.151
PAPER_PARAMETERS_PERCENT = 1.68


@dataclasses.dataclass(frozen=True)
class Overhead:
    """The overhead of gates against the same network without gates, in percent.

    Attributes:
      choice: of the gates' sources.
      flops: of convolutions and fully connected layers.
      arithmetic: of everything as built, elementwise operations included: averages are taken once
        for all gates, and a gate is multiplied with the strength before the map is scaled.
      unshared: of everything if no gates shared averages or scaled maps.
      parameters: of the gates.
      kept_nodes: nodes that only serve as peers, and are left out of a network without gates.
      parameters_with_kept: of the gates and those nodes.
      arithmetic_with_kept: of the gates and those nodes.
    """

    choice: str
    flops: float
    arithmetic: float
    unshared: float
    parameters: float
    kept_nodes: tuple[int, ...]
    parameters_with_kept: float
    arithmetic_with_kept: float


def peer_overheads(architecture: Architecture, setting: Setting) -> tuple[Overhead, ...]:
    """Compares peer attention with none, for several choices of the peers.

    Args:
      architecture: peers that it names are one more choice.
      setting: of the costs; its gate is not read.
    """
    plain = dataclasses.replace(setting, gate="none")
    gated = dataclasses.replace(setting, gate="peer")
    plan = make_plan(architecture, setting.num_object_classes)
    fed = {source for source, _ in architecture.connections()}
    stems = {i for i, node in enumerate(architecture.nodes) if isinstance(node, Stem)}
    # A stem that only named peers keep has no place in a graph without names.
    choices = {"one-shot": _unnamed(architecture)} if stems <= fed else {}
    for choice, pick in _PICKS.items():
        choices[f"discrete, {choice}"] = _discrete(architecture, plan, pick)
    if architecture.is_discrete():
        choices["discrete, as named"] = architecture
    return tuple(
        _compare(choice, estimate(graph, plain), estimate(graph, gated))
        for choice, graph in choices.items()
    )


# Each picks one of a connection's candidates: (plans of the candidates, the input) -> the peer.
_Pick = Callable[[Sequence[NodePlan], int], NodePlan]
_PICKS: dict[str, _Pick] = {
    "the narrowest peer": lambda candidates, _: min(candidates, key=_width),
    "the widest stem": lambda candidates, _: max(
        (plan for plan in candidates if plan.fusion is None), key=_width
    ),
    "a peer of middle width": lambda candidates, _: sorted(candidates, key=_width)[
        len(candidates) // 2
    ],
    "the widest peer": lambda candidates, _: max(candidates, key=_width),
    "the nearest peer": lambda candidates, _: candidates[-1],
    "the input itself where it can be": lambda candidates, source: next(
        (plan for plan in candidates if plan.index == source), candidates[-1]
    ),
}


def _unshared(cost: Cost) -> int:
    """Counts the values that all gates would average and scale if none were shared."""
    values = 0
    for node in cost.plan:
        if node.fusion is None or node.index not in cost.alive:
            continue
        for width, read in zip(node.fusion.input_channels, node.gate_sources("peer"), strict=True):
            values += cost.setting.positions(node.input_stride) * width
            for peer, _ in read.maps():
                plan = cost.plan[peer]
                values += cost.setting.positions(plan.stride) * plan.output_channels
    return values


def _width(plan: NodePlan) -> int:
    return plan.output_channels


def _unnamed(architecture: Architecture) -> Architecture:
    nodes = tuple(
        dataclasses.replace(node, peers=None) if isinstance(node, Block) else node
        for node in architecture.nodes
    )
    return dataclasses.replace(architecture, nodes=nodes)


def _discrete(architecture: Architecture, plan: Sequence[NodePlan], pick: _Pick) -> Architecture:
    distributions = {}
    for node in plan:
        if node.fusion is None:
            continue
        candidates = [plan[index] for index in node.candidates]
        chosen = [pick(candidates, source).index for source in node.fusion.inputs]
        distributions[node.index] = [
            [float(index == peer) for index in node.candidates] for peer in chosen
        ]
    return derive(architecture, peer_distributions=distributions).architecture


def _compare(choice: str, plain: Cost, gated: Cost) -> Overhead:
    extra_nodes = tuple(sorted(gated.alive - plain.alive))
    base, whole = plain.total, gated.total
    added = gated.of_role("gate", "average")
    scaling = gated.of_role("connection").elementwise - plain.of_role("connection").elementwise
    scaling -= sum(
        part.count.elementwise
        for part in gated.parts
        if part.role == "connection" and part.node in extra_nodes
    )
    return Overhead(
        choice,
        flops=100 * added.flops / base.flops,
        arithmetic=100 * (added.arithmetic + scaling) / base.arithmetic,
        unshared=100 * (added.flops + _unshared(gated)) / base.arithmetic,
        parameters=100 * added.parameters / base.parameters,
        kept_nodes=extra_nodes,
        parameters_with_kept=100 * (whole.parameters / base.parameters - 1),
        arithmetic_with_kept=100 * (whole.arithmetic / base.arithmetic - 1),
    )
