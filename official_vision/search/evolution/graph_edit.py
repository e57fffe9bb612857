"""Nodes of a graph that is edited, named by keys, so that inserting one shifts no index."""

from __future__ import annotations

import dataclasses

from official_vision.architecture.graph import Architecture, Block, Stem


@dataclasses.dataclass
class Entry:
    """A node that is edited.

    Attributes:
      key: its name; that of a node of the parent is its index there, new ones count on from the end.
      node: its settings; `inputs`, `strengths` and `peers` are ignored.
      inputs: from a source's key to the peer's key that gates it, None for one-shot gates.
      origin: index of the parent's node whose weights suit it.
    """

    key: int
    node: Stem | Block
    inputs: dict[int, int | None]
    origin: int


def opened(graph: Architecture) -> list[Entry]:
    """Returns the graph's nodes for editing, in order."""
    entries = []
    for index, node in enumerate(graph.nodes):
        peers = getattr(node, "peers", None) or (None,) * len(node.inputs)
        entries.append(Entry(index, node, dict(zip(node.inputs, peers, strict=True)), index))
    return entries


def closed(
    parent: Architecture, entries: list[Entry], name: str
) -> tuple[Architecture, dict[int, int]]:
    """Returns the edited graph and, for each of its nodes, the parent's node it comes from.

    Strengths are left to learn: those of the parent belong to another graph.

    Raises:
      ArchitectureError: the edit leaves no network.
    """
    place = {entry.key: index for index, entry in enumerate(entries)}
    nodes = tuple(_node(entry, place) for entry in entries)
    graph = dataclasses.replace(parent, name=name, nodes=nodes, provenance={})
    return graph, {index: entry.origin for index, entry in enumerate(entries)}


def _node(entry: Entry, place: dict[int, int]) -> Stem | Block:
    if isinstance(entry.node, Stem):
        return entry.node
    # A key that is gone becomes -1, which the graph's check refuses.
    links = sorted((place.get(source, -1), peer) for source, peer in _links(entry, place))
    has_peers = entry.node.peers is not None
    return dataclasses.replace(
        entry.node,
        inputs=tuple(source for source, _ in links),
        strengths=None,
        peers=tuple(peer for _, peer in links) if has_peers else None,
    )


def _links(entry: Entry, place: dict[int, int]) -> list[tuple[int, int]]:
    return [
        (source, -1 if peer is None else place.get(peer, -1))
        for source, peer in entry.inputs.items()
    ]
