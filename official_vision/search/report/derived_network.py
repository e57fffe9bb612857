"""The derived network, drawn beside that of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.cost.network_cost import Setting
from official_vision.architecture.graph import Architecture
from official_vision.architecture.zoo import assemblenet_plus_plus_50
from official_vision.search.report.drawing import draw_network
from official_vision.search.stage_figures import cost_figures

# Of a run from which nothing has been derived yet.
_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


def published(like: Architecture, setting: Setting) -> dict[str, Any]:
    """Returns Table 1's network with the depth and width of another, so that their costs compare.

    Args:
      like: the other.
      setting: of the costs.
    """
    graph = assemblenet_plus_plus_50().with_settings(like.depth, like.width_multiplier)
    return _entry("Table 1: AssembleNet++-50", graph, setting)


def derived(graph: Architecture, setting: Setting) -> list[dict[str, Any]]:
    """Returns the network that a search has written.

    Args:
      graph: of its file, whose provenance knows each node's former number.
      setting: of the costs.
    """
    source = graph.provenance.get("derived")
    former = source.get("kept_nodes", ()) if isinstance(source, Mapping) else ()
    title = "Derived by this search"
    if isinstance(source, Mapping) and "threshold" in source:
        title += f", threshold {source['threshold']:.3g}"
    return [_entry(title, graph, setting, tuple(former))]


def derivable(learned: Learned, setting: Setting) -> list[dict[str, Any]]:
    """Returns the networks that several thresholds would give; thresholds with the same result are one entry.

    Args:
      learned: strengths and peers of a run.
      setting: of the costs.
    """
    entries: dict[tuple[tuple[int, ...], ...], dict[str, Any]] = {}
    for threshold in _THRESHOLDS:
        derivation = learned.derive(threshold)
        kept_inputs = tuple((old, *positions) for old, positions in derivation.kept_inputs.items())
        if kept_inputs not in entries:
            title = f"Without connections weaker than {threshold:g}"
            former = tuple(sorted(derivation.new_index))
            entries[kept_inputs] = _entry(title, derivation.architecture, setting, former)
    return list(entries.values())


def _entry(
    title: str, graph: Architecture, setting: Setting, former: tuple[int, ...] = ()
) -> dict[str, Any]:
    return {
        "title": title,
        "figures": cost_figures(graph, setting),
        "drawing": draw_network(graph, former=former if len(former) == len(graph.nodes) else ()),
    }
