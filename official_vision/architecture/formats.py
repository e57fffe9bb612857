"""Architectures as JSON files and as the authors' nested lists, both ways and without loss."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from official_vision import files
from official_vision.architecture.block_kinds import (
    BlockKind,
    kind_named,
    kind_of_several_numbers,
)
from official_vision.architecture.graph import Architecture, ArchitectureError, Block, Stem
from official_vision.errors import nearest
from official_vision.formats import ARCHITECTURE

_HEADER = (
    "name",
    "depth",
    "block_kind",
    "width_multiplier",
    "rgb_pool_size",
    "convolution_padding",
    "stem_pool_padding",
    "downsampling",
    "provenance",
)
# The authors' lists mark a stem by a negative level and count block levels from 0.
_STEM_CODES = {"rgb": -1, "flow": -2, "object": -3}
_AUTHORS_STEM_CHANNELS = 128
_OBJECT_CHANNELS = 151
# What a .json file of the authors' lists may say besides: structure, strengths, and settings by name.
_STRUCTURE, _STRENGTHS = "structure", "strengths"
_AUTHORS_RGB_POOL = 3


def to_json(architecture: Architecture) -> str:
    """Returns the architecture as JSON text, one node per line."""
    header = ARCHITECTURE.header | {name: getattr(architecture, name) for name in _HEADER}
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in header.items()]
    nodes = [
        f"  {json.dumps({'index': index, **_node_to_dict(node)})}"
        for index, node in enumerate(architecture.nodes)
    ]
    return "{\n" + "\n".join(lines) + '\n "nodes": [\n' + ",\n".join(nodes) + "\n ]\n}\n"


def from_json(text: str, source: str = "the text") -> Architecture:
    """Reads what `to_json` wrote, or the authors' lists.

    The lists are a structure alone, as `from_lists` takes it, or an object with structure, strengths and
    any of name, depth, block_kind, width_multiplier, ... of the Architecture. Missing values are as in
    the authors' networks: depth 50, and an rgb pool of 3; blocks of three widths are inverted bottlenecks.

    Args:
      text: the JSON.
      source: named in errors, e.g. the file, which also names a network that has no name.

    Raises:
      ArchitectureError: not JSON, not this format, or not a network.
    """
    try:
        values = json.loads(text)
        if isinstance(values, (list, str)):
            values = {_STRUCTURE: values}
        if isinstance(values, Mapping) and _STRUCTURE in values:
            return _from_lists_file({"name": os.path.basename(source).split(".")[0], **values})
        return from_dict(values)
    except ArchitectureError as error:
        raise ArchitectureError(f"{source}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ArchitectureError(
            f"An architecture file must be JSON. Received: {source} ({error})."
        ) from error


def from_dict(values: Any) -> Architecture:
    """Builds an architecture from parsed JSON; see `from_json`."""
    if not isinstance(values, Mapping) or values.get("format") != ARCHITECTURE.name:
        raise ArchitectureError(
            f'An architecture file has "format": "{ARCHITECTURE.name}", or holds the authors\' lists as '
            f'"{_STRUCTURE}". Received: none such. {ARCHITECTURE.remedy}'
        )
    if values.get("version") != ARCHITECTURE.version:
        raise ArchitectureError(
            f"Version {ARCHITECTURE.version} of the format is known. Received: {values.get('version')!r}. "
            f"{ARCHITECTURE.remedy}"
        )
    nodes = values.get("nodes")
    if not isinstance(nodes, list):
        raise ArchitectureError(
            f'"nodes" must be a list. Received: {nodes!r}. List stems, then blocks.'
        )
    _refuse_unknown(values, {"format", "version", "nodes", *_HEADER}, "The architecture")
    header = {name: values[name] for name in _HEADER if name in values}
    return Architecture(
        nodes=tuple(map(_node_from_dict, range(len(nodes)), nodes)), **{"name": "", **header}
    )


def save_architecture(architecture: Architecture, path: str | os.PathLike) -> None:
    """Writes the JSON file, whole or not at all."""
    files.write_text(path, to_json(architecture))


def read_architecture(path: str | os.PathLike) -> Architecture:
    """Reads a JSON file that `save_architecture` wrote, or one of the authors' lists; see `from_json`.

    Raises:
      ArchitectureError: the file is missing or has no network in it; one line naming the file.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ArchitectureError(
            f"An architecture file must be readable. Received: {path} ({error})."
        ) from error
    return from_json(text, str(path))


def to_lists(
    architecture: Architecture, rows_of_six: bool = False, nested: bool = False
) -> tuple[list[list], list[list]]:
    """Returns the authors' nested lists: (structure, strengths), one row per node.

    A stem is [-1 rgb | -2 flow | -3 object, dilation] with its width added where it is not 128
    shared among the stems (151 for objects); a block is [level - 1, inputs, C, dilation, stride].
    A node without strengths has an empty row. Depth, peers and the other settings are not
    part of the lists: `from_lists` takes all but peers by name.

    Args:
      architecture: the network.
      rows_of_six: a block's row ends with a sixth number, 0, as in Model Garden's port.
      nested: a row of strengths is nested once more, [[...]], as in that port; [] stays [].
    """
    usual = _AUTHORS_STEM_CHANNELS // _number_of_stems(architecture.nodes)
    structure: list[list] = []
    strengths: list[list[float]] = []
    for node in architecture.nodes:
        if isinstance(node, Stem):
            width = [] if node.channels == _usual_width(node.kind, usual) else [node.channels]
            structure.append([_STEM_CODES[node.kind], node.temporal_dilation, *width])
            strengths.append([])
        else:
            channels = list(node.channels) if isinstance(node.channels, tuple) else node.channels
            row = [
                node.level - 1,
                list(node.inputs),
                channels,
                node.temporal_dilation,
                node.spatial_stride,
            ]
            structure.append([*row, 0] if rows_of_six else row)
            weights = list(node.strengths or ())
            strengths.append([weights] if nested and weights else weights)
    return structure, strengths


def from_lists(
    structure: Sequence[Sequence] | str, strengths: Sequence[Sequence] | str = (), **settings: Any
) -> Architecture:
    """Reads the authors' nested lists in each form that `to_lists` writes, and mixed ones.

    Args:
      structure: one row per node, or the JSON text of such lists.
      strengths: one row per node, nested once more or not, empty where strengths are to be learned; or
        the JSON text of such lists.
      **settings: name, depth, block_kind, rgb_pool_size, ... of the Architecture.

    Raises:
      ArchitectureError: a row that is none of the two forms, or rows that make no network.
    """
    try:
        structure, strengths = _parsed(structure), _parsed(strengths)
        stems = sum(row[0] < 0 for row in structure)
        rows = list(strengths) or [()] * len(structure)
        kind = kind_named(settings.get("block_kind", Architecture.block_kind))
        nodes = [
            _stem_from_row(row, weights, stems, kind)
            if row[0] < 0
            else _block_from_row(index, row, weights)
            for index, (row, weights) in enumerate(zip(structure, rows, strict=True))
        ]
    except ArchitectureError:
        raise
    except (TypeError, ValueError, IndexError, KeyError, RecursionError) as error:
        raise ArchitectureError(
            "Rows are [stem code, dilation] or [level, inputs, C, dilation, stride, 0], with as many "
            f"rows of strengths as of structure. Received: something else ({error}). "
            "See formats.to_lists."
        ) from error
    return Architecture(nodes=tuple(nodes), **settings)


def _parsed(lists: Any) -> Any:
    return json.loads(lists) if isinstance(lists, str) else lists


def _from_lists_file(values: Mapping[str, Any]) -> Architecture:
    """Returns the network of parsed lists, with the authors' values where the file has none."""
    _refuse_unknown(values, {_STRUCTURE, _STRENGTHS, *_HEADER}, "The authors' lists")
    settings = {name: values[name] for name in _HEADER if name in values}
    settings.setdefault("rgb_pool_size", _AUTHORS_RGB_POOL)
    structure = _parsed(values[_STRUCTURE])
    rows = structure if isinstance(structure, list) else []
    if any(isinstance(row, list) and len(row) > 3 and isinstance(row[2], list) for row in rows):
        settings.setdefault("block_kind", kind_of_several_numbers())
    return from_lists(structure, values.get(_STRENGTHS, ()), **settings)


def _number_of_stems(nodes: Sequence[Stem | Block]) -> int:
    return sum(isinstance(node, Stem) for node in nodes)


def _usual_width(kind: str, shared: int) -> int:
    return _OBJECT_CHANNELS if kind == "object" else shared


def _stem_from_row(row: Sequence, strengths: Sequence, stems: int, blocks: BlockKind) -> Stem:
    if len(strengths):
        raise ValueError("strengths of a stem, which has no inputs")
    kind = {code: kind for kind, code in _STEM_CODES.items()}[row[0]]
    _, dilation, *width = row
    (channels,) = width or [_usual_width(kind, _AUTHORS_STEM_CHANNELS // stems)]
    return Stem(kind, channels, dilation, blocks.stem_stride(kind))


def _block_from_row(index: int, row: Sequence, strengths: Sequence) -> Block:
    level, inputs, channels, dilation, stride, *rest = row
    if rest not in ([], [0]):
        raise ArchitectureError(
            f"Node {index}: a block's row has five entries, or 0 as its sixth: what another would mean is "
            f"unknown. Received: {' '.join(repr(rest).split())[:200]}. Remove it if it means nothing."
        )
    if len(strengths) == 1 and isinstance(strengths[0], (list, tuple)):
        (strengths,) = strengths
    channels = tuple(channels) if isinstance(channels, Sequence) else channels
    return Block(level + 1, tuple(inputs), channels, dilation, stride, tuple(strengths) or None)


def _node_to_dict(node: Stem | Block) -> dict[str, Any]:
    values = {name: value for name, value in dataclasses.asdict(node).items() if value is not None}
    return {"stem": values.pop("kind"), **values} if isinstance(node, Stem) else values


def _node_from_dict(index: int, values: Any) -> Stem | Block:
    if not isinstance(values, Mapping):
        raise ArchitectureError(
            f"Node {index}: a node is an object. Received: {values!r}. Use {{...}}."
        )
    if values.get("index", index) != index:
        raise ArchitectureError(
            f"Node {index}: nodes are listed by index. Received: {values['index']!r}. "
            "Put them in order."
        )
    settings = {
        name: tuple(v) if isinstance(v, list) else v
        for name, v in values.items()
        if name != "index"
    }
    node_class: type = Block
    if "stem" in settings:
        node_class = Stem
        settings["kind"] = settings.pop("stem")
    fields = dataclasses.fields(node_class)
    _refuse_unknown(settings, {field.name for field in fields}, f"Node {index}")
    for field in fields:
        if field.default is dataclasses.MISSING and field.name not in settings:
            raise ArchitectureError(
                f"Node {index}: {field.name} must be set. Received: none. Add it."
            )
    return node_class(**settings)


def _refuse_unknown(values: Mapping[str, Any], known: set[str], where: str) -> None:
    for name in values:
        if name not in known:
            raise ArchitectureError(
                f"{where}: no setting is named so. Received: {name!r}. {nearest(name, known)}"
            )
