"""Positions of nodes and wires in a drawing: columns by level, and a lane for every wire that passes one.

A wire is everything that leaves one node in one manner: its connections, or its gates. Connections
of a node that run far share one lane through each column between, so that none crosses a box.

    column 0     column 1     column 2
    [ node 0 ]---[ node 2 ]---[ node 3 ]
    [ node 1 ]--- lane of 1 --/
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from official_vision.architecture.graph import Architecture, Block

LANE_HEIGHT = 0.22
BOX_HEIGHT = 0.8
PORT_HEIGHT = 0.11  # of a box, for each input
GAP = 0.22
_GATE_OFFSET = 0.2  # gates leave a node below its connections
_SWEEPS = 12


@dataclasses.dataclass(frozen=True)
class Wire:
    """The wires of a node: its connections to blocks, or its gates on connections."""

    source: int
    is_gate: bool


@dataclasses.dataclass(frozen=True)
class Layout:
    """Positions, in units of which a box is about BOX_HEIGHT high; y grows downwards from 0.

    Attributes:
      columns: the level of each column.
      column_of: each node's column.
      centre: y of each node.
      height_of: height of each node's box.
      lanes: (wire, column) -> y, for each column that a wire passes.
      height: of the drawing.
    """

    columns: tuple[int, ...]
    column_of: tuple[int, ...]
    centre: Mapping[int, float]
    height_of: Mapping[int, float]
    lanes: Mapping[tuple[Wire, int], float]
    height: float


def lay_out(architecture: Architecture, peers: Mapping[int, Sequence[int]]) -> Layout:
    """Places every node and lane.

    Args:
      architecture: the network.
      peers: of each block, the peer of each input; blocks without named peers are missing.
    """
    levels, column_of = _columns(architecture)
    ends = _furthest_column(architecture, peers, column_of)
    heights = {
        index: max(BOX_HEIGHT, PORT_HEIGHT * (len(node.inputs) + 1))
        for index, node in enumerate(architecture.nodes)
    }
    items: list[list[int | Wire]] = [[] for _ in levels]
    for index, column in enumerate(column_of):
        items[column].append(index)
    for wire, end in ends.items():
        for column in range(column_of[wire.source] + 1, end):
            items[column].append(wire)
    tallest = max(_height(column, heights) for column in items)
    neighbours = _neighbours(architecture, peers, column_of)
    places = _sweep(items, heights, neighbours, tallest)
    centre = {item: y for (item, _), y in places.items() if isinstance(item, int)}
    lanes = {key: y for key, y in places.items() if isinstance(key[0], Wire)}
    return Layout(levels, column_of, centre, heights, lanes, tallest)


def route(layout: Layout, wire: Wire, consumer: int, box_width: float) -> list[tuple[float, float]]:
    """Returns the points (x in columns, y) that a wire passes on its way to a block.

    They lead from the right side of its node through its lanes to the column before the consumer; the
    consumer's port (see `ports`) comes after them.

    Args:
      layout: of the network.
      wire: connections or gates of a node.
      consumer: a block at which it ends.
      box_width: of the boxes, in columns.
    """
    start = layout.column_of[wire.source]
    y = layout.centre[wire.source] + (_GATE_OFFSET if wire.is_gate else 0)
    points = [(start + box_width / 2, y)]
    for column in range(start + 1, layout.column_of[consumer]):
        y = layout.lanes[wire, column]
        points += [(column - box_width / 2, y), (column + box_width / 2, y)]
    return points


def ports(
    architecture: Architecture, layout: Layout, index: int, box_width: float
) -> list[tuple[float, float]]:
    """Returns where each input enters a block's left side, from top to bottom as the wires come."""
    node = architecture.nodes[index]
    heights = [
        route(layout, Wire(source, False), index, box_width)[-1][1] for source in node.inputs
    ]
    order = sorted(range(len(heights)), key=lambda position: (heights[position], position))
    step = layout.height_of[index] / (len(heights) + 1)
    top = layout.centre[index] - layout.height_of[index] / 2
    x = layout.column_of[index] - box_width / 2
    return [(x, top + step * (1 + order.index(p))) for p in range(len(heights))]


def _columns(architecture: Architecture) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns one column per level, or several where blocks of one level feed each other."""
    places: list[tuple[int, int]] = []
    for node in architecture.nodes:
        within = [places[i][1] + 1 for i in node.inputs if places[i][0] == node.level]
        places.append((node.level, max(within, default=0)))
    order = sorted(set(places))
    return tuple(level for level, _ in order), tuple(order.index(place) for place in places)


def _consumers(
    architecture: Architecture, peers: Mapping[int, Sequence[int]]
) -> dict[Wire, list[int]]:
    """Returns the blocks at which each line ends, once for each connection or gate."""
    consumers: dict[Wire, list[int]] = {}
    for index, node in enumerate(architecture.nodes):
        if not isinstance(node, Block):
            continue
        for source in node.inputs:
            consumers.setdefault(Wire(source, False), []).append(index)
        for peer in peers.get(index, ()):
            consumers.setdefault(Wire(peer, True), []).append(index)
    return consumers


def _furthest_column(
    architecture: Architecture, peers: Mapping[int, Sequence[int]], column_of: Sequence[int]
) -> dict[Wire, int]:
    return {
        wire: max(column_of[consumer] for consumer in consumers)
        for wire, consumers in _consumers(architecture, peers).items()
    }


def _neighbours(
    architecture: Architecture, peers: Mapping[int, Sequence[int]], column_of: Sequence[int]
) -> dict[tuple[int | Wire, int], list[tuple[int | Wire, int]]]:
    """Returns the neighbours of each item (a node or lane in a column) in the columns beside it."""
    joined: dict[tuple[int | Wire, int], list[tuple[int | Wire, int]]] = {}
    for wire, consumers in _consumers(architecture, peers).items():
        start = column_of[wire.source]
        for consumer in consumers:
            end = column_of[consumer]
            path = [(wire.source, start)]
            path += [(wire, column) for column in range(start + 1, end)]
            path.append((consumer, end))
            for left, right in itertools.pairwise(path):
                joined.setdefault(left, []).append(right)
                joined.setdefault(right, []).append(left)
    return joined


def _sweep(
    items: list[list[int | Wire]],
    heights: Mapping[int, float],
    neighbours: Mapping[tuple[int | Wire, int], Sequence[tuple[int | Wire, int]]],
    tallest: float,
) -> dict[tuple[int | Wire, int], float]:
    """Orders each column by the mean place of its items' neighbours, left and right in turn."""
    places: dict[tuple[int | Wire, int], float] = {}
    for number, column in enumerate(items):
        places.update(_stack(column, number, heights, tallest))
    for sweep in range(_SWEEPS):
        order = range(len(items)) if sweep % 2 == 0 else range(len(items) - 1, -1, -1)
        for number in order:
            pull = {}
            for position, item in enumerate(items[number]):
                beside = [places[other] for other in neighbours.get((item, number), ())]
                place = places[item, number]
                pull[item] = (sum(beside) / len(beside) if beside else place, position)
            # Stems stay in the order of the table: people look them up there.
            if number:
                items[number] = sorted(items[number], key=pull.__getitem__)
            places.update(_stack(items[number], number, heights, tallest))
    return places


def _size(item: int | Wire, heights: Mapping[int, float]) -> float:
    return LANE_HEIGHT if isinstance(item, Wire) else heights[item] + GAP


def _height(column: Sequence[int | Wire], heights: Mapping[int, float]) -> float:
    return sum(_size(item, heights) for item in column)


def _stack(
    column: Sequence[int | Wire], number: int, heights: Mapping[int, float], tallest: float
) -> dict[tuple[int | Wire, int], float]:
    """Places a column's items below each other, spread over the whole height."""
    spare = (tallest - _height(column, heights)) / (len(column) + 1)
    places, y = {}, spare
    for item in column:
        size = _size(item, heights)
        places[item, number] = y + size / 2
        y += size + spare
    return places
