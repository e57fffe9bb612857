"""A trained one-shot network made discrete: strong connections, each with one peer (A.2)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from official_vision.architecture.graph import Architecture, ArchitectureError, Block, Stem
from official_vision.architecture.plan import NodePlan, make_plan

# A float32 sigmoid reaches 0 and 1, which a strength may not.
_LEAST_STRENGTH = 1e-6


@dataclasses.dataclass(frozen=True)
class Derivation:
    """The discrete network and where its nodes come from.

    Attributes:
      architecture: the discrete network.
      new_index: old node -> new node; nodes that are gone are missing.
      kept_inputs: old block -> the positions in its old inputs that it keeps, in order.
    """

    architecture: Architecture
    new_index: Mapping[int, int]
    kept_inputs: Mapping[int, tuple[int, ...]]


def derive(
    architecture: Architecture,
    strengths: Mapping[int, Sequence[float]] | None = None,
    peer_distributions: Mapping[int, Sequence[Sequence[float]]] | None = None,
    threshold: float = 0.0,
) -> Derivation:
    """Keeps the strong connections and, for each, the peer that its softmax chose.

    A connection weaker than `threshold` goes, but a block keeps its strongest one. All outputs stay, for
    the classifier reads every one of them. A node that then neither leads to an output nor is the
    chosen peer of a connection that does goes too: a chosen peer stays with all that feeds it, for its
    gate was learned on exactly that node. Where a block loses its coarsest inputs its stride grows,
    so that every node keeps its resolution. A block left with one input passes it on as it is: without
    strength and 1x1 convolution.

    Args:
      architecture: the one-shot network.
      strengths: learned strengths (after the sigmoid) of each block's inputs; blocks without an
        entry keep those of the graph, or all their connections where they have none.
      peer_distributions: of each block, one row per input: the softmax over its candidates
        (`NodePlan.candidates`). Blocks without an entry keep the peers they name.
      threshold: in [0, 1].

    Raises:
      ArchitectureError: numbers that do not fit the graph.
    """
    if not 0 <= threshold <= 1:
        raise ArchitectureError(
            f"The threshold lies in [0, 1]. Received: {threshold!r}. 0 keeps every connection."
        )
    plan = make_plan(architecture)
    blocks: dict[int, Block] = {}
    kept_inputs: dict[int, tuple[int, ...]] = {}
    for node in plan:
        block = architecture.nodes[node.index]
        if isinstance(block, Block):
            learned = (strengths or {}).get(node.index, block.strengths)
            rows = (peer_distributions or {}).get(node.index)
            block = _with_peers(node.index, block, rows, node.candidates)
            blocks[node.index], kept_inputs[node.index] = _pruned(
                node.index, block, learned, threshold
            )
    alive = _alive(architecture.outputs, blocks)
    new_index = {old: new for new, old in enumerate(sorted(alive))}
    derived = _rebuilt(architecture, blocks, plan, new_index)
    provenance = {
        **architecture.provenance,
        "derived": {
            "from": architecture.name,
            "threshold": float(threshold),
            "kept_nodes": sorted(alive),
        },
    }
    return Derivation(
        dataclasses.replace(derived, provenance=provenance),
        new_index,
        {old: positions for old, positions in kept_inputs.items() if old in alive},
    )


def _with_peers(
    index: int,
    block: Block,
    distributions: Sequence[Sequence[float]] | None,
    candidates: Sequence[int],
) -> Block:
    """Returns the block with each connection's most probable peer, the earliest of equals."""
    if distributions is None:
        return block
    if len(distributions) != len(block.inputs):
        _refuse(index, f"{len(block.inputs)} peer distributions, one per input", distributions)
    rows = [_checked(index, "candidate", row, len(candidates)) for row in distributions]
    return dataclasses.replace(block, peers=tuple(candidates[row.index(max(row))] for row in rows))


def _pruned(
    index: int, block: Block, strengths: Sequence[float] | None, threshold: float
) -> tuple[Block, tuple[int, ...]]:
    """Returns the block with the inputs that are strong enough, and their positions."""
    positions = tuple(range(len(block.inputs)))
    kept_strengths = None
    if strengths is not None and len(positions) > 1:
        checked = _checked(index, "input", strengths, len(positions))
        strongest = checked.index(max(checked))
        positions = tuple(p for p in positions if checked[p] >= threshold or p == strongest)
        bounded = tuple(
            min(max(checked[p], _LEAST_STRENGTH), 1 - _LEAST_STRENGTH) for p in positions
        )
        kept_strengths = bounded if len(positions) > 1 else None
    pruned = dataclasses.replace(
        block,
        inputs=tuple(block.inputs[p] for p in positions),
        strengths=kept_strengths,
        peers=None if block.peers is None else tuple(block.peers[p] for p in positions),
    )
    return pruned, positions


def _checked(index: int, what: str, values: Sequence[float], count: int) -> list[float]:
    numbers = [float(value) for value in values]
    if len(numbers) != count or not all(math.isfinite(v) and 0 <= v <= 1 for v in numbers):
        _refuse(index, f"{count} numbers from 0 to 1, one a {what}", values)
    return numbers


def _refuse(index: int, wanted: str, received: object) -> None:
    raise ArchitectureError(
        f"Node {index}: a block takes {wanted}. Received: {received}. "
        "Take them from a model of the same architecture."
    )


def _alive(outputs: Sequence[int], blocks: Mapping[int, Block]) -> set[int]:
    """Returns the nodes that reach an output through kept connections, or as peers of such connections."""
    alive = {*outputs}
    for index in range(max(outputs), -1, -1):
        if index in alive and index in blocks:
            alive.update(blocks[index].inputs, blocks[index].peers or ())
    return alive


def _rebuilt(
    architecture: Architecture,
    blocks: Mapping[int, Block],
    plan: Sequence[NodePlan],
    new_index: Mapping[int, int],
) -> Architecture:
    nodes: list[Stem | Block] = []
    for old in new_index:
        block = blocks.get(old)
        if block is None:
            nodes.append(architecture.nodes[old])
            continue
        coarsest = max(plan[source].stride for source in block.inputs)
        peers = block.peers
        nodes.append(
            dataclasses.replace(
                block,
                inputs=tuple(new_index[source] for source in block.inputs),
                peers=None if peers is None else tuple(new_index[peer] for peer in peers),
                spatial_stride=block.spatial_stride * (plan[old].input_stride // coarsest),
            )
        )
    name = f"{architecture.name}_derived"
    return dataclasses.replace(architecture, name=name, nodes=tuple(nodes))
