"""The over-connected graph that a one-shot search begins with.

graph                    searched
0 --> 2 --> 4            every earlier node, as far as a block's level and resolution allow, feeds
1 --> 3 ----^            it: 2 and 3 have inputs 0 and 1, 4 has 0, 1, 2 and 3, all to be weighed
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from official_vision import files
from official_vision.architecture.graph import Architecture, ArchitectureError, Block
from official_vision.errors import UserError

_FILE = "file:"


def one_shot_space(architecture: Architecture, candidates: str = "all") -> Architecture:
    """Returns the graph with all connections that the search may keep.

    Every node keeps its resolution: where a new input is coarser than the old ones, the block's
    stride shrinks by as much. An input that is coarser than the block's output can't be one. Given
    strengths and peers are dropped: the search is to find them.

    Args:
      architecture: whose nodes are searched.
      candidates: all (every earlier node), lower (nodes of lower levels, and what the block has),
        own (what the block has) or file:PATH (see `read_candidates`).

    Raises:
      UserError: a file that is no list of connections, or connections that make no network.
    """
    wanted = _wanted(architecture, candidates)
    strides = architecture.strides()
    nodes = []
    for index, node in enumerate(architecture.nodes):
        if isinstance(node, Block):
            node = dataclasses.replace(
                node,
                inputs=wanted[index],
                spatial_stride=_stride_from_inputs(index, wanted[index], strides),
                strengths=None,
                peers=None,
            )
        nodes.append(node)
    space = {
        "from": architecture.name,
        "candidates": candidates,
        "connections": sum(len(node.inputs) for node in nodes),
        "graph_connections": len(list(architecture.connections())),
    }
    return dataclasses.replace(
        architecture,
        name=f"{architecture.name}_one_shot",
        nodes=tuple(nodes),
        provenance={**architecture.provenance, "space": space},
    )


def read_candidates(path: str, architecture: Architecture) -> dict[int, tuple[int, ...]]:
    """Reads a JSON object, block to the inputs that it may have: {"5": [0, 1, 4], ...}.

    Args:
      path: of the file.
      architecture: its blocks may be named; one that isn't keeps its inputs.

    Returns:
      The inputs of all blocks.

    Raises:
      UserError: not such an object, or nodes that aren't blocks. What the graph forbids is refused
        when the graph is made.
    """
    values = files.read_json(path)
    if not isinstance(values, dict):
        raise _unfit(path, values)
    candidates = {
        index: node.inputs for index, node in enumerate(architecture.nodes) if _is_block(node)
    }
    for name, inputs in values.items():
        index = int(name) if name.isdecimal() else None
        is_list = isinstance(inputs, list) and all(type(source) is int for source in inputs)
        if index not in candidates or not is_list:
            raise _unfit(path, {name: inputs})
        candidates[index] = tuple(inputs)
    return candidates


def _unfit(path: str, received: Any) -> UserError:
    shown = " ".join(repr(received).split())[:200]
    return UserError(
        'A file of candidates is a JSON object of blocks and lists of earlier nodes, {"5": [0, 1]}. '
        f"Received: {path}, in which {shown}. Mend it; official-vision inspect lists the nodes."
    )


def _wanted(architecture: Architecture, candidates: str) -> Mapping[int, tuple[int, ...]]:
    if candidates.startswith(_FILE):
        return read_candidates(candidates.removeprefix(_FILE), architecture)
    strides = architecture.strides()
    wanted = {}
    for index, node in enumerate(architecture.nodes):
        if not _is_block(node):
            continue
        highest = {"all": node.level, "lower": node.level - 1, "own": -1}[candidates]
        wanted[index] = tuple(
            source
            for source, earlier in enumerate(architecture.nodes[:index])
            if source in node.inputs
            or (earlier.level <= highest and strides[index] % strides[source] == 0)
        )
    return wanted


def _stride_from_inputs(index: int, inputs: Sequence[int], strides: Sequence[int]) -> int:
    """Returns a block's stride from its coarsest input; other mistakes are refused by the graph's check."""
    known = {source: strides[source] for source in inputs if 0 <= source < index}
    coarse = {source: stride for source, stride in known.items() if strides[index] % stride}
    if coarse:
        raise ArchitectureError(
            f"Node {index}: strides of candidates must divide the block's, {strides[index]}. "
            f"Received: {coarse}. Remove those connections."
        )
    return strides[index] // max(known.values(), default=1)


def _is_block(node: object) -> bool:
    return isinstance(node, Block)
