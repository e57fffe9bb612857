"""The graph of the authors' network, at the widths that a checkpoint has."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from official_vision import files
from official_vision.architecture.formats import from_lists
from official_vision.architecture.graph import MODULES_BY_DEPTH, Architecture, Stem
from official_vision.architecture.plan import MIDDLE_CHANNELS
from official_vision.architecture.zoo import load_architecture
from official_vision.conversion.authors.params import Params
from official_vision.conversion.authors.variables import CONVOLUTION, NORM, StoredWeights
from official_vision.errors import UserError

_STEM_CHANNELS = 128  # shared among a network's stems
_KINDS = {-1: "rgb", -2: "flow"}
_OBJECT_STEM = -3
_OBJECT_CHANNELS = 151
_LARGEST = 65536  # far beyond any network; keeps arithmetic on channels finite


@dataclasses.dataclass(frozen=True)
class UnreadStem:
    """A stem of the authors' network that no block reads: it has weights there, but is not in our graph.

    Attributes:
      position: its index among the authors' nodes.
      stem: as it would be here.
      channels: of the checkpoint.
    """

    position: int
    stem: Stem
    channels: int


def architecture_of(
    weights: StoredWeights, structure: str, params: Params | None, depth: int | None
) -> tuple[Architecture, tuple[UnreadStem, ...]]:
    """Builds the graph, and names the stems that it leaves out.

    Args:
      weights: the checkpoint, which determines the widths and, where nothing else does, the depth.
      structure: a file, or name of the zoo, that the user gives; empty takes that of `params`.
      params: of the run, where they are known.
      depth: that the user gives.

    Raises:
      UserError: no structure, one that is not a network, or widths or a depth other than the checkpoint's.
    """
    lists, graph = _read_structure(structure, params)
    if graph is not None:
        return _as_theirs(graph if depth is None else graph.with_settings(depth, None)), ()
    rows, strengths = lists
    depth = depth or (params.depth if params else None) or _depth_of(rows, weights)
    multiplier = _multiplier(rows, weights, depth)
    name = f"{params.kind}_{depth}" if params else f"authors_{depth}"
    settings = {"name": name, "depth": depth, "width_multiplier": multiplier}
    unread = _unread(rows)
    connected = _renumbered(_unscaled(rows, multiplier), [stem.position for stem in unread])
    strengths = [
        w for index, w in enumerate(strengths) if index not in {u.position for u in unread}
    ]
    return _as_theirs(from_lists(connected, strengths, **settings)), unread


def _unread(rows: Sequence[Sequence]) -> tuple[UnreadStem, ...]:
    """Returns the stems that no block reads; object stems have no weights and are left to the graph's check."""
    sources = {source for row in rows if row[0] >= 0 for source in row[1]}
    channels = _STEM_CHANNELS // max(1, sum(row[0] < 0 for row in rows))
    return tuple(
        UnreadStem(index, Stem(_KINDS[row[0]], channels, row[1]), channels)
        for index, row in enumerate(rows)
        if row[0] in _KINDS and index not in sources
    )


def _renumbered(rows: Sequence[Sequence], left_out: Sequence[int]) -> list[list]:
    """Removes some rows, and renumbers the inputs of the others."""

    def moved(index: int) -> int:
        return index - sum(position < index for position in left_out)

    return [
        list(row) if row[0] < 0 else [row[0], [moved(source) for source in row[1]], *row[2:]]
        for index, row in enumerate(rows)
        if index not in left_out
    ]


def _read_structure(
    structure: str, params: Params | None
) -> tuple[tuple[list, list] | None, Architecture | None]:
    if not structure:
        if params is None:
            raise UserError(
                "The network's structure must be known, and is in no checkpoint. Received: neither "
                "--structure nor a params.yaml beside the checkpoint. Give one of them."
            )
        lists = {"structure": params.structure, "edge_weights": params.edge_weights}
        return _lists(lists, params.path), None
    if not os.path.isfile(structure):
        # A name, or an error for a path without a file.
        return None, load_architecture(structure)
    values = files.read_json(structure)
    if isinstance(values, Mapping) and "format" in values:
        return None, load_architecture(structure)
    return _lists(values, structure), None


def _lists(values: Any, path: str) -> tuple[list, list]:
    strengths: Any = []
    if isinstance(values, Mapping):
        strengths = values.get("edge_weights") or values.get("strengths") or []
        values = values.get("structure")
    if not isinstance(values, list) or not all(_is_row(row) for row in values) or not values:
        raise UserError(
            "A structure must be the authors' lists: [-1, dilation] of a stem, [level, inputs, channels, "
            f"dilation, stride, 0] of a block. Received: {path}, which has other rows. Correct the rows."
        )
    if any(row[0] >= 0 and isinstance(row[2], list) for row in values):
        raise UserError(
            f"Checkpoints of the -lite network cannot be converted. Received: {path}, whose blocks have three "
            "numbers of channels. Train its architecture here."
        )
    if not isinstance(strengths, list):
        strengths = [strengths]  # refused by from_lists
    return values, strengths


def _is_row(row: Any) -> bool:
    """Returns whether a row has the form of the authors'; what its numbers mean is checked by the architecture."""
    if not isinstance(row, list) or len(row) < 2 or not _are_counts(row[:1]):
        return False
    if row[0] < 0:
        return _are_counts(row)
    return (
        len(row) in (5, 6)
        and isinstance(row[1], list)
        and (_are_counts(row[2:3]) or isinstance(row[2], list))
        and _are_counts(row[1] + row[3:])
    )


def _are_counts(values: Sequence[Any]) -> bool:
    return all(type(value) is int and abs(value) <= _LARGEST for value in values)


def _as_theirs(graph: Architecture) -> Architecture:
    """Returns settings that the authors' code fixes for every graph: a 3x3 pool in rgb stems, symmetric padding."""
    if graph.block_kind != "bottleneck":
        raise UserError(
            "Checkpoints of the -lite network cannot be converted. "
            f"Received: {graph.name}, of {graph.block_kind} blocks. Train its architecture here."
        )
    return dataclasses.replace(
        graph,
        rgb_pool_size=3,
        convolution_padding="symmetric",
        stem_pool_padding="same",
        downsampling="middle",
    )


def _blocks(rows: Sequence[Sequence]) -> Iterator[int]:
    """Yields the level of each block, 1 to 4."""
    yield from (row[0] + 1 for row in rows if row[0] >= 0)


def _depth_of(rows: Sequence[Sequence], weights: StoredWeights) -> int:
    """Returns the depth whose number of batch norms is the checkpoint's."""
    norms = sum(layer.kind == NORM for layer in weights.layers)
    of_stems = sum({-1: 2, -2: 1}.get(row[0], 0) for row in rows)
    fitting = [
        depth
        for depth, modules in MODULES_BY_DEPTH.items()
        if all(1 <= level <= 4 for level in _blocks(rows))
        and of_stems + sum(3 * modules[level - 1] + 1 for level in _blocks(rows)) == norms
    ]
    if len(fitting) == 1:
        return fitting[0]
    depths = f"of depths {' and '.join(map(str, fitting))}" if fitting else "of no depth"
    raise UserError(
        f"The depth must follow from the number of batch norms. Received: {norms} in {weights.path}, which are "
        f"those {depths} of this structure. {'Give --depth.' if fitting else 'Correct --structure.'}"
    )


def _multiplier(rows: Sequence[Sequence], weights: StoredWeights, depth: int) -> float:
    """Returns the multiplier of all widths of the checkpoint; at 1 the middle ones are 64, 128, 256 and 512."""
    if depth not in MODULES_BY_DEPTH:
        raise UserError(
            f"The depth must be one of {', '.join(map(str, MODULES_BY_DEPTH))}. Received: {depth}. Correct it."
        )
    levels = [
        level
        for level in _blocks(rows)
        if level in MIDDLE_CHANNELS
        for _ in range(MODULES_BY_DEPTH[depth][level - 1])
    ]
    widths = [
        layer.shapes["kernel"][3]
        for layer in weights.in_order(CONVOLUTION)
        if layer.shapes.get("kernel", ())[:2] == (3, 3)
    ]
    expected = [MIDDLE_CHANNELS[level] for level in levels]
    for full, width in zip(expected, widths, strict=False):
        multiplier = width / full
        if [max(1, round(width * multiplier)) for width in expected] == widths and _unscaled(
            rows, multiplier
        ):
            return multiplier
    raise UserError(
        "Widths must be the published ones times one number, as ModelSpec.width_multiplier scales them. "
        f"Received: {weights.path}, whose 3x3 convolutions have {_shown(widths)} channels, and {_shown(expected)} "
        "in the structure at 1. Correct --structure or --depth."
    )


def _unscaled(rows: Sequence[Sequence], multiplier: float) -> list[list] | None:
    """Returns the rows with channels before the multiplier; None where no whole number gives a row's channels."""
    stems = sum(row[0] < 0 for row in rows)
    shared = _STEM_CHANNELS // max(1, stems)
    unscaled = []
    for row in rows:
        channels = shared if row[0] < 0 else row[2]
        whole = round(channels / multiplier)
        if max(1, round(whole * multiplier)) != channels:
            return None
        if row[0] == _OBJECT_STEM:
            unscaled.append([*row[:2], _OBJECT_CHANNELS])
        else:
            unscaled.append([*row[:2], whole] if row[0] < 0 else [*row[:2], whole, *row[3:5]])
    return unscaled


def _shown(widths: Sequence[int]) -> str:
    return ", ".join(map(str, dict.fromkeys(widths))) or "no"
