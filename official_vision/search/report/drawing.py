"""A network as shapes for the page: boxes, wires and ports in pixels, which its scripts only paint."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from official_vision.architecture.cost.network_cost import fed_by
from official_vision.architecture.drawing.draw import node_labels
from official_vision.architecture.drawing.layout import Layout, Wire, lay_out, ports, route
from official_vision.architecture.graph import Architecture, Block, Stem

BOX_WIDTH = 0.5  # of the distance between two columns
_COLUMN, _UNIT = 172, 70  # pixels of that distance, and of a unit of the layout
_HEADER, _MARGIN = 34, 8  # pixels
_GATE_BEFORE = 0.05  # columns from a port back to the gate on its connection
# A block's input -> the peers that may gate it: (consumer, position) -> nodes.
Peers = Mapping[tuple[int, int], Sequence[int]]


def draw_network(
    architecture: Architecture,
    strengths: Mapping[int, Sequence[float]] | None = None,
    peers: Peers | None = None,
    former: Sequence[int] = (),
) -> dict[str, Any]:
    """Returns the drawing as JSON values.

    Args:
      architecture: the network.
      strengths: of each block's inputs, 0 to 1; blocks without an entry take the graph's.
      peers: for each connection every peer to which a gate is to be drawn; None takes those that blocks
        name.
      former: of each node its number in the network that this one was derived from; empty for none.

    Returns:
      width and height in pixels; columns (x, label); nodes; connections in the order of
      `Architecture.connections` (path, port, strength, peer); gates (the connection's number, peer, path).
    """
    chosen = named_peers(architecture) if peers is None else peers
    by_block: dict[int, list[int]] = {}
    for (consumer, _), nodes in chosen.items():
        by_block.setdefault(consumer, []).extend(nodes)
    layout = lay_out(architecture, by_block)
    entries = {
        index: ports(architecture, layout, index, BOX_WIDTH)
        for index, node in enumerate(architecture.nodes)
        if isinstance(node, Block)
    }
    return {
        "name": architecture.name,
        "width": round((len(layout.columns) - 1 + BOX_WIDTH) * _COLUMN + 2 * _MARGIN),
        "height": round(layout.height * _UNIT + _HEADER + _MARGIN),
        "columns": [
            {"x": _x(column), "label": f"level {level}" if level else "streams"}
            for column, level in enumerate(layout.columns)
        ],
        "nodes": _nodes(architecture, layout, former),
        "connections": _connections(architecture, layout, entries, strengths or {}),
        "gates": _gates(architecture, layout, entries, chosen),
    }


def named_peers(architecture: Architecture) -> dict[tuple[int, int], tuple[int, ...]]:
    """Returns the peers that blocks name, by consumer and position of the input."""
    return {
        (index, position): (peer,)
        for index, node in enumerate(architecture.nodes)
        for position, peer in enumerate(getattr(node, "peers", None) or ())
    }


def _x(column: float) -> float:
    return round((column + BOX_WIDTH / 2) * _COLUMN + _MARGIN, 1)


def _y(units: float) -> float:
    return round(units * _UNIT + _HEADER, 1)


def _nodes(
    architecture: Architecture, layout: Layout, former: Sequence[int]
) -> list[dict[str, Any]]:
    fed, feeding = fed_by(architecture), architecture.live_nodes(gated_by_peers=False)
    shapes = []
    for index, node in enumerate(architecture.nodes):
        heading, detail = node_labels(index, node)
        lines = detail.split("  ") if detail else []
        if former and former[index] != index:
            lines.append(f"was node {former[index]}")
        height = layout.height_of[index] * _UNIT
        shapes.append(
            {
                "index": index,
                "level": node.level,
                "is_stem": isinstance(node, Stem),
                "is_idle": index not in feeding,
                "heading": heading,
                "details": lines,
                "streams": list(fed[index]),
                "x": round(_x(layout.column_of[index]) - BOX_WIDTH * _COLUMN / 2, 1),
                "y": round(_y(layout.centre[index]) - height / 2, 1),
                "width": BOX_WIDTH * _COLUMN,
                "height": round(height, 1),
            }
        )
    return shapes


def _connections(
    architecture: Architecture,
    layout: Layout,
    entries: Mapping[int, Sequence[tuple[float, float]]],
    strengths: Mapping[int, Sequence[float]],
) -> list[dict[str, Any]]:
    shapes = []
    for index, places in entries.items():
        node = architecture.nodes[index]
        values = strengths.get(index, node.strengths)
        for position, source in enumerate(node.inputs):
            points = [*route(layout, Wire(source, False), index, BOX_WIDTH), places[position]]
            gate = _gate(places[position])
            shapes.append(
                {
                    "source": source,
                    "consumer": index,
                    "path": _path(points),
                    "gate": [_x(gate[0]), _y(gate[1])],
                    "strength": None if values is None else round(float(values[position]), 4),
                    "peer": None if node.peers is None else node.peers[position],
                }
            )
    return shapes


def _gates(
    architecture: Architecture,
    layout: Layout,
    entries: Mapping[int, Sequence[tuple[float, float]]],
    peers: Peers,
) -> list[dict[str, Any]]:
    numbers = {connection: number for number, connection in enumerate(architecture.connections())}
    shapes = []
    for (consumer, position), chosen in peers.items():
        source = architecture.nodes[consumer].inputs[position]
        for peer in chosen:
            points = route(layout, Wire(peer, True), consumer, BOX_WIDTH)
            shapes.append(
                {
                    "connection": numbers[source, consumer],
                    "peer": peer,
                    "path": _path([*points, _gate(entries[consumer][position])]),
                }
            )
    return shapes


def _gate(port: tuple[float, float]) -> tuple[float, float]:
    return port[0] - _GATE_BEFORE, port[1]


def _path(points: Sequence[tuple[float, float]]) -> str:
    """Returns a curve in SVG's path language: level at every point, flat through lanes, an S between them."""
    x, y = points[0]
    pieces = [f"M{_x(x):g} {_y(y):g}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = _x((x0 + x1) / 2)
        pieces.append(f"C{middle:g} {_y(y0):g} {middle:g} {_y(y1):g} {_x(x1):g} {_y(y1):g}")
    return "".join(pieces)
