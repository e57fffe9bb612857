"""Pruning of a one-shot network: what each threshold keeps and costs, and what was measured of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.cost.connection_cost import connection_costs
from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.graph import Architecture
from official_vision.search.report.strength_series import evenly_chosen
from official_vision.search.stage_figures import NETWORKS, cost_figures

_MOST_THRESHOLDS = 48
_DIGITS = 6
CURVE_TITLE = "discrete, other shares"


def thresholds_of(learned: Learned) -> list[float]:
    """Returns the strengths at which one more connection is dropped, from the least; 0 keeps all.

    Of many, an even choice in their order.
    """
    known = sorted({strength for row in learned.strengths.values() for strength in row})
    return evenly_chosen([0.0, *known], _MOST_THRESHOLDS)


def pruning(learned: Learned, setting: Setting) -> list[dict[str, Any]]:
    """Returns threshold, nodes, connections, flops and parameters of the networks at all thresholds.

    Args:
      learned: strengths and peers of the one-shot network.
      setting: of the costs.
    """
    return [
        {
            "threshold": round(threshold, _DIGITS),
            **cost_figures(learned.derive(threshold).architecture, setting),
        }
        for threshold in thresholds_of(learned)
    ]


def measured(stages: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the networks of a search that were evaluated.

    Args:
      stages: of search.json (search/search_folder.py).

    Returns:
      title, connections, flops, parameters, steps and score of each; the score is None where the
      figure was NaN.
    """
    rows = []
    for title, stage, key in NETWORKS:
        network = stages.get(stage, {}).get(key)
        if network:
            rows.append(_row(title, network))
    curve = stages.get("derive", {}).get("curve", ())
    return rows + [_row(CURVE_TITLE, network) for network in curve]


def _row(title: str, network: Mapping[str, Any]) -> dict[str, Any]:
    wanted = ("nodes", "connections", "flops", "parameters", "steps", "score")
    return {"title": title, **{name: network[name] for name in wanted}}


def connection_table(architecture: Architecture, setting: Setting) -> list[dict[str, Any]]:
    """Returns each connection's cost, in the order of `Architecture.connections`.

    Args:
      architecture: the network.
      setting: of the costs.

    Returns:
      map, operations per clip (2 per multiply-add) for pooling, scaling and the share of 1x1
      convolutions; gates, of the gate that each candidate peer would make, empty where the peer is
      named (then the map's cost has its gate in it). Connections that are not built have None.
    """
    costs = connection_costs(architecture, setting)
    return [
        {
            "map": round(costs.maps[connection]) if connection in costs.maps else None,
            "gates": [round(gate) for gate in costs.gates.get(connection, ())],
        }
        for connection in architecture.connections()
    ]


def arithmetic(architecture: Architecture, setting: Setting) -> int:
    """Returns all operations of a network for a clip, in the unit of `connection_table`."""
    return estimate(architecture, setting).total.arithmetic
