"""Small changes of a graph: split, merge, dilation, connections and peers.

Every change gives a valid network whose levels keep their channel sums and in which no node becomes
idle that fed the classifier before. Blocks of the highest level are neither split nor merged: the
classifier reads them, and keeps its width and so its weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from official_vision.architecture.graph import Architecture, ArchitectureError, Block
from official_vision.errors import UserError
from official_vision.search.evolution.graph_edit import Entry, closed, opened

DILATIONS = (1, 2, 4, 8)
_ATTEMPTS = 200
_CONNECTIONS = "connections"
# What a connection without a learned strength counts as: neither weak nor strong.
_UNKNOWN_STRENGTH = 0.5

Strengths = Mapping[int, Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Mutation:
    """A changed graph.

    Attributes:
      architecture: the child.
      words: what was done, in plain JSON values, by the parent's node numbers.
      origin: the parent's node that each of the child's nodes comes from.
    """

    architecture: Architecture
    words: dict[str, Any]
    origin: dict[int, int]


class _ImpossibleError(Exception):
    """The drawn change does not apply to this graph; another is drawn."""


def mutate(
    parent: Architecture,
    generator: np.random.Generator,
    strengths: Strengths,
    guided: bool,
    name: str,
    connections_share: float = 0.5,
) -> Mutation:
    """Returns a child that differs from its parent by one change.

    Args:
      parent: a valid graph.
      generator: the only source of randomness.
      strengths: learned sigmoid(w) in [0, 1] of each block's inputs, by node, in the order of
        `Block.inputs`; blocks may be missing (`transfer.learned_strengths` leaves out single inputs).
      guided: a change of connections keeps each with its strength as the probability; otherwise as
        many go, whichever.
      name: of the child.
      connections_share: how probable a change of connections is; the other kinds share the rest.

    Raises:
      UserError: strengths that don't fit the graph, or no change of it is possible.
    """
    _check_strengths(parent, strengths)
    known = strengths if guided else _shuffled(strengths, generator)
    # A kind is drawn once and tried until it gives a valid graph: a rewiring often leaves a node idle,
    # and other kinds drawn in its place would take over most of its share.
    for kind in _kinds_in_order(connections_share, generator):
        for _ in range(_ATTEMPTS):
            entries = opened(parent)
            try:
                words = _CHANGES[kind](entries, generator, known)
                child, origin = closed(parent, entries, name)
            except (_ImpossibleError, ArchitectureError):
                continue
            if child.nodes != _unlearned(parent) and not _falls_idle(parent, child, origin):
                return Mutation(child, {"kind": kind, **words}, origin)
    raise UserError(
        f"A graph must allow a change. Received: {parent.name}, none in {_ATTEMPTS} tries of each kind. "
        "Start from a graph of more blocks."
    )


def _kinds_in_order(connections_share: float, generator: np.random.Generator) -> list[str]:
    of_connections = generator.random() < connections_share
    others = [kind for kind in _CHANGES if kind != _CONNECTIONS]
    others = [others[place] for place in generator.permutation(len(others))]
    return [_CONNECTIONS, *others] if of_connections else [*others, _CONNECTIONS]


def _check_strengths(parent: Architecture, strengths: Strengths) -> None:
    for index, values in strengths.items():
        inputs = parent.nodes[index].inputs if 0 <= index < len(parent.nodes) else ()
        if len(values) != len(inputs) or not all(0 <= value <= 1 for value in values):
            raise UserError(
                "Strengths are numbers from 0 to 1, one per input of a block. "
                f"Received: {list(values)} for node {index} of {parent.name}. "
                "Use those learned by this very graph."
            )


def _shuffled(strengths: Strengths, generator: np.random.Generator) -> Strengths:
    """Returns the strengths shuffled, each at another connection."""
    values = generator.permutation([value for row in strengths.values() for value in row])
    ends = np.cumsum([len(row) for row in strengths.values()], dtype=int)
    return {
        node: values[end - len(row) : end].tolist()
        for (node, row), end in zip(strengths.items(), ends.tolist(), strict=True)
    }


def _unlearned(graph: Architecture) -> tuple[Any, ...]:
    return tuple(
        dataclasses.replace(node, strengths=None) if isinstance(node, Block) else node
        for node in graph.nodes
    )


def _falls_idle(parent: Architecture, child: Architecture, origin: Mapping[int, int]) -> bool:
    alive = parent.live_nodes(gated_by_peers=False)
    alive_now = child.live_nodes(gated_by_peers=False)
    return any(origin[i] in alive for i in range(len(child.nodes)) if i not in alive_now)


def _split(entries: list[Entry], generator: np.random.Generator, _: Strengths) -> dict[str, Any]:
    """Halves a block's channels between it and a twin of the same inputs and consumers."""
    able = [e for e in entries if _width(e) >= 2 and not _is_output(e, entries)]
    old = _drawn(able, generator)
    width, key = _width(old), len(entries)
    twin = Entry(key, _with_width(old, width // 2), dict(old.inputs), old.origin)
    old.node = _with_width(old, width - width // 2)
    entries.insert(entries.index(old) + 1, twin)
    for entry in entries:
        if old.key in entry.inputs:
            entry.inputs[key] = entry.inputs[old.key]
    return {"node": old.key, "channels": [width - width // 2, width // 2]}


def _merge(entries: list[Entry], generator: np.random.Generator, _: Strengths) -> dict[str, Any]:
    """Joins two blocks of a level and stride in the later one's place, with the inputs of both."""
    pairs = [
        (a, b)
        for place, a in enumerate(entries)
        for b in entries[place + 1 :]
        if _width(a)
        and _width(b)
        and _resolution(a) == _resolution(b)
        and not _is_output(b, entries)
    ]
    gone, remaining = _drawn(pairs, generator)
    remaining.inputs = {
        source: peer
        for source, peer in {**gone.inputs, **remaining.inputs}.items()
        if source != gone.key
    }
    remaining.node = _with_width(remaining, _width(gone) + _width(remaining))
    entries.remove(gone)
    for entry in entries:
        entry.inputs = _renamed(entry.inputs, gone.key, remaining.key)
    return {"nodes": [gone.key, remaining.key], "channels": _width(remaining)}


def _dilate(entries: list[Entry], generator: np.random.Generator, _: Strengths) -> dict[str, Any]:
    entry = _drawn([e for e in entries if isinstance(e.node, Block)], generator)
    before = entry.node.temporal_dilation
    after = int(_drawn([d for d in DILATIONS if d != before], generator))
    entry.node = dataclasses.replace(entry.node, temporal_dilation=after)
    return {"node": entry.key, "from": before, "to": after}


def _rewire(
    entries: list[Entry], generator: np.random.Generator, strengths: Strengths
) -> dict[str, Any]:
    """Keeps each connection with its strength as the probability, and tries about as many new ones as are dropped.

    The connection-learning-guided mutation of AssembleNet (Ryoo et al., ICLR 2020, section 3.3).
    """
    dropped = [
        (source, entry.key)
        for entry in entries
        for source in entry.inputs
        if generator.random() >= _strength(entry, source, strengths)
    ]
    number = len(dropped)
    free = [
        (a.key, b.key)
        for place, b in enumerate(entries)
        for a in entries[:place]
        if isinstance(b.node, Block) and a.node.level <= b.node.level and a.key not in b.inputs
    ]
    wanted = max(1 - number, number + int(generator.integers(-1, 2)))
    order = generator.permutation(len(free))[:wanted]
    added = [free[position] for position in sorted(order.tolist())]
    for source, consumer in dropped:
        del entries[consumer].inputs[source]
    for source, consumer in added:
        entries[consumer].inputs[source] = _some_peer(entries, consumer, generator)
    return {"dropped": [list(link) for link in dropped], "added": [list(link) for link in added]}


def _change_peer(
    entries: list[Entry], generator: np.random.Generator, _: Strengths
) -> dict[str, Any]:
    """Gives a connection of a discrete graph another peer."""
    links = [(e, s) for e in entries for s, peer in e.inputs.items() if peer is not None]
    entry, source = _drawn(links, generator)
    before, entry.inputs[source] = entry.inputs[source], _some_peer(entries, entry.key, generator)
    return {"connection": [source, entry.key], "from": before, "to": entry.inputs[source]}


_CHANGES: dict[str, Callable[..., dict[str, Any]]] = {
    "split": _split,
    "merge": _merge,
    "dilation": _dilate,
    _CONNECTIONS: _rewire,
    "peer": _change_peer,
}


def _some_peer(entries: list[Entry], consumer: int, generator: np.random.Generator) -> int | None:
    node = entries[consumer].node
    if node.peers is None:
        return None
    return _drawn([e.key for e in entries[:consumer] if e.node.level < node.level], generator)


def _renamed(inputs: dict[int, int | None], old: int, new: int) -> dict[int, int | None]:
    return {
        new if source == old else source: new if peer == old else peer
        for source, peer in inputs.items()
    }


def _drawn(choices: Sequence[Any], generator: np.random.Generator) -> Any:
    if not choices:
        raise _ImpossibleError
    return choices[int(generator.integers(len(choices)))]


def _width(entry: Entry) -> int:
    """Returns the channels of a block of one width; 0 of stems and of inverted bottlenecks."""
    is_plain = isinstance(entry.node, Block) and isinstance(entry.node.channels, int)
    return entry.node.channels if is_plain else 0


def _with_width(entry: Entry, channels: int) -> Block:
    return dataclasses.replace(entry.node, channels=channels)


def _is_output(entry: Entry, entries: Sequence[Entry]) -> bool:
    return entry.node.level == max(e.node.level for e in entries)


def _resolution(entry: Entry) -> tuple[int, int]:
    return entry.node.level, entry.node.spatial_stride


def _strength(entry: Entry, source: int, strengths: Strengths) -> float:
    values = strengths.get(entry.key)
    return _UNKNOWN_STRENGTH if values is None else values[entry.node.inputs.index(source)]
