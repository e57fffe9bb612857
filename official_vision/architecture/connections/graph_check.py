"""Rules about all nodes together: all lead to outputs, and outputs are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from official_vision.architecture.refusal import fail


# architecture/graph.py checks graphs with this file, so its classes can't be named here.
def check_connected(graph: Any) -> None:
    """Refuses a graph without outputs, with unequal ones, or with nodes that lead to none.

    Args:
      graph: an Architecture whose nodes are valid one by one.

    Raises:
      ArchitectureError: one line naming the node and the rule.
    """
    if graph.nodes[-1].level == 0:
        fail(
            "The last node must be a block.",
            graph.nodes[-1],
            "Blocks feed the classifier.",
            len(graph.nodes) - 1,
        )
    _check_outputs(graph)
    alive = graph.live_nodes(gated_by_peers=True)
    # A candidate among many is no reason for a stem to be there; a named peer is.
    used = {source for source, _ in graph.connections()} | {
        peer for node in graph.nodes for peer in getattr(node, "peers", None) or ()
    }
    for index, node in enumerate(graph.nodes):
        if index not in alive or (node.level == 0 and index not in used):
            fail(
                "Every node must lead to a block of the highest level.",
                node,
                "Connect it to a later block or remove it.",
                index,
            )


def _check_outputs(graph: Any) -> None:
    """Refuses outputs of unequal widths: the classifier reads the mean of their averages."""
    first, *others = graph.outputs
    width = graph.kind.output_channels
    for index in others:
        if width(graph.nodes[index].channels) != width(graph.nodes[first].channels):
            fail(
                "All blocks of the highest level must have equal output channels.",
                {i: graph.nodes[i].channels for i in (first, index)},
                "Give them the same channels: the classifier reads their mean.",
                index,
            )


def strides(nodes: Sequence[Any]) -> tuple[int, ...]:
    """Returns each node's stride from the input frame, in height and width.

    Args:
      nodes: stems and blocks, each fed by earlier ones.
    """
    reached: list[int] = []
    for node in nodes:
        coarsest = max((reached[source] for source in node.inputs), default=1)
        reached.append(coarsest * node.spatial_stride)
    return tuple(reached)
