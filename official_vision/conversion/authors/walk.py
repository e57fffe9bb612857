"""The layers of the authors' network in the order in which their code makes them, beside ours.

Their code makes layers for all nodes, also for those that nothing reads; ours does not.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import tf_keras

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.plan import NodePlan, make_plan
from official_vision.conversion.authors.structure import UnreadStem
from official_vision.conversion.authors.variables import (
    CONVOLUTION,
    DENSE,
    DILATED,
    NORM,
    STRENGTHS,
)
from official_vision.modeling.network import AssembleNet

GATED, SINGLE_GATED, UNGATED = "gated", "single_gated", "ungated"
_DEAD = "node that reaches no output, which is not built here"
_UNREAD = "stem that no block reads, which is left out here"
_STEM_CHANNELS = {"rgb": 3, "flow": 2}


@dataclasses.dataclass(frozen=True)
class Code:
    """The settings of the authors' code that made a network.

    Attributes:
      has_scopes: TensorFlow 1's: layers are named within their node, and dilated kernels apart.
      gates: gated (all connections), single_gated (those of blocks with one input alone: the port's
        AssembleNet++ with attention off) or ungated (AssembleNet).
      drops: of several inputs of one width that is not the target, the first alone is read (the port's
        AssembleNet++).
      unread: stems that it makes and that the graph here leaves out.
    """

    has_scopes: bool
    gates: str
    drops: bool
    unread: tuple[UnreadStem, ...] = ()


@dataclasses.dataclass(frozen=True)
class Slot:
    """A layer that the authors' code makes.

    Attributes:
      kind: of the stored layer.
      node: index among the authors' nodes; None for the classifier.
      ours: index among ours; None for the classifier and for stems that are left out here.
      shapes: of its variables, by their short names.
      layer: ours, which takes the values; None where we have none.
      input: position of the connection that it gates; None for others.
      scope: of the stored layer, in names of TensorFlow 1.
      reason: why we have none; empty where we have.
    """

    kind: str
    node: int | None
    shapes: dict[str, tuple[int, ...]]
    layer: tf_keras.layers.Layer | None
    ours: int | None = None
    input: int | None = None
    scope: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class _Place:
    """The plan of a node, our layer of it, and its other attributes."""

    plan: NodePlan
    layer: tf_keras.layers.Layer | None
    plans: Sequence[NodePlan]
    architecture: Architecture
    code: Code

    @property
    def node(self) -> Stem | Block:
        return self.architecture.nodes[self.plan.index]


def slots(
    architecture: Architecture, model: AssembleNet, code: Code, classes: int
) -> Iterator[Slot]:
    """Yields every layer of the authors' network, in the order in which it is made among those of its kind.

    Args:
      architecture: the graph.
      model: ours of that graph.
      code: which of the authors' programs.
      classes: of their classifier.
    """
    plans = make_plan(architecture, model.spec.num_object_classes)
    unread = {stem.position: stem for stem in code.unread}
    position = 0
    for plan in plans:
        while position in unread:
            for slot in _stem(unread[position].stem, unread[position].channels, None, code):
                yield dataclasses.replace(slot, node=position, reason=_UNREAD)
            position += 1
        node = architecture.nodes[plan.index]
        ours = model.node_layers.get(str(plan.index))
        made = (
            _stem(node, plan.output_channels, ours, code)
            if isinstance(node, Stem)
            else _block(_Place(plan, ours, plans, architecture, code))
        )
        for slot in made:
            reason = slot.reason or ("" if ours is not None else _DEAD)
            yield dataclasses.replace(slot, node=position, ours=plan.index, reason=reason)
        position += 1
    width = plans[architecture.outputs[-1]].output_channels
    head = model.head.classifier if model.spec.num_classes == classes else None
    reason = (
        ""
        if head is not None
        else f"classifier of {classes} classes, and the network has {model.spec.num_classes}"
    )
    yield Slot(DENSE, None, {"kernel": (width, classes), "bias": (classes,)}, head, reason=reason)


def dropped_inputs(plan: NodePlan, code: Code) -> tuple[int, ...]:
    """Returns the positions of a block's inputs that the authors' network does not read."""
    fusion = plan.fusion
    if not code.drops or fusion is None or len(fusion.inputs) == 1:
        return ()
    seen: set[int] = set()
    positions = []
    for position, width in enumerate(fusion.input_channels):
        if width in seen and width != fusion.target_channels:
            positions.append(position)
        seen.add(width)
    return tuple(positions)


def _stem(stem: Stem, width: int, ours: tf_keras.layers.Layer | None, code: Code) -> Iterator[Slot]:
    if stem.kind == "object":
        return
    yield from _convolved((7, 7, _STEM_CHANNELS[stem.kind], width), ours, "spatial")
    if stem.kind == "rgb":
        kind = _temporal_kind(stem.temporal_dilation, code)
        yield from _convolved((5, 1, width, width), ours, "temporal", kind)


def _block(place: _Place) -> Iterator[Slot]:
    fusion, ours = place.plan.fusion, place.layer
    if len(fusion.inputs) > 1:
        shape = {"value": (len(fusion.inputs),)}
        yield Slot(STRENGTHS, None, shape, ours and ours.fusion)
    yield from _gates(place)
    for width in fusion.convolved_widths:
        shape = {"kernel": (1, 1, width, fusion.target_channels)}
        layer = ours and ours.fusion.convolutions[str(width)]
        yield Slot(CONVOLUTION, None, shape, layer)
    for position in range(len(place.plan.modules)):
        yield from _module(place, position)


def _gates(place: _Place) -> Iterator[Slot]:
    plan, code = place.plan, place.code
    widths = plan.fusion.input_channels
    if code.gates == UNGATED or (code.gates == SINGLE_GATED and len(widths) > 1):
        return
    if code.has_scopes:
        # In TensorFlow 1 a graph saves all its variables, also the candidates' maps that only peer gates read.
        fed = [place.plans[candidate].output_channels for candidate in _by_level(place)]
        first = sum(place.plans[k].level == 0 for k in plan.candidates)
        fed[first:first] = [stem.channels for stem in code.unread]
        for width in fed:
            shape = {"kernel": (width, max(fed)), "bias": (max(fed),)}
            reason = "map of a candidate peer, which self gates don't read"
            yield Slot(DENSE, None, shape, None, reason=reason)
    dropped = dropped_inputs(plan, code)
    for width in dict.fromkeys(widths):
        positions = [position for position, other in enumerate(widths) if other == width]
        for count, position in enumerate(positions):
            if position in dropped:
                continue
            scope = f"Connection_{width}_{count}" if len(widths) > 1 and code.has_scopes else ""
            shape = {"kernel": (width, width), "bias": (width,)}
            layer = place.layer and place.layer.gates[position]
            yield Slot(DENSE, None, shape, layer, input=position, scope=scope)


def _by_level(place: _Place) -> list[int]:
    """Returns the candidate peers in the authors' order: objects, flow, rgb, then blocks by level."""
    ranks = {"object": -3, "flow": -2, "rgb": -1}

    def rank(index: int) -> int:
        node = place.architecture.nodes[index]
        return ranks[node.kind] if isinstance(node, Stem) else node.level

    return sorted(place.plan.candidates, key=rank)


def _module(place: _Place, position: int) -> Iterator[Slot]:
    plan, ours = place.plan, place.layer and place.layer.modules[position]
    fed = plan.fusion.output_channels if position == 0 else plan.output_channels
    if position == 0:
        yield from _convolved((1, 1, fed, plan.output_channels), ours, "projection")
    is_temporal = position % 2 == 1
    kernel = (3, 1) if is_temporal else (1, 1)
    dilation = place.node.temporal_dilation
    kind = _temporal_kind(dilation, place.code) if is_temporal else CONVOLUTION
    yield from _convolved((*kernel, fed, plan.channels), ours, "first", kind)
    middle = (3, 3, plan.channels, plan.middle_channels)
    yield from _convolved(middle, ours, "middle")
    last = (1, 1, plan.middle_channels, plan.output_channels)
    yield from _convolved(last, ours, "last")


def _temporal_kind(dilation: int, code: Code) -> str:
    return DILATED if code.has_scopes and dilation > 1 else CONVOLUTION


def _convolved(
    shape: tuple[int, ...],
    ours: tf_keras.layers.Layer | None,
    name: str,
    kind: str = CONVOLUTION,
) -> Iterator[Slot]:
    """Yields a convolution and its norm."""
    variable = "value" if kind == DILATED else "kernel"
    yield Slot(kind, None, {variable: shape}, ours and getattr(ours, name))
    norms = dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), shape[-1:])
    yield Slot(NORM, None, norms, ours and getattr(ours, f"{name}_norm"))
