"""The figures of a network at each stage of a search: scores, cost and connections."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.cost.connection_cost import connection_costs
from official_vision.architecture.cost.gate_overhead import (
    PAPER_FLOPS_PERCENT,
    PAPER_PARAMETERS_PERCENT,
    peer_overheads,
)
from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.graph import Architecture
from official_vision.training.observation.connection_log import mean_entropy_share

# Title, stage and key of the networks in search.json.
NETWORKS = (
    ("one-shot", "search", "one_shot"),
    ("discrete, before retraining", "derive", "derived"),
    ("discrete, retrained", "retrain", "retrained"),
)


def cost_figures(architecture: Architecture, setting: Setting) -> dict[str, float]:
    """Returns flops (per clip, 2 per multiply-add), parameters, nodes and connections of a network."""
    cost = estimate(architecture, setting)
    return {
        "flops": cost.total.flops,
        "parameters": cost.total.parameters,
        "nodes": len(architecture.nodes),
        "connections": len(list(architecture.connections())),
    }


def attention_figures(architecture: Architecture, setting: Setting) -> dict[str, float]:
    """Returns the cost that peer attention adds to a discrete network, in percent, beside section A.2's figures."""
    (named,) = (
        row for row in peer_overheads(architecture, setting) if row.choice == "discrete, as named"
    )
    without = cost_figures(architecture, dataclasses.replace(setting, gate="none"))
    return {
        "flops_without": without["flops"],
        "parameters_without": without["parameters"],
        "added_flops_percent": named.flops,
        "added_parameters_percent": named.parameters,
        "paper_flops_percent": PAPER_FLOPS_PERCENT,
        "paper_parameters_percent": PAPER_PARAMETERS_PERCENT,
    }


def connection_figures(learned: Learned, setting: Setting) -> dict[str, float | None]:
    """Returns the entropies of a one-shot network's choices, and the share of its connections' cost that stays."""
    strengths = [strength for row in learned.strengths.values() for strength in row]
    costs = connection_costs(learned.architecture, setting)
    return {
        "peer_entropy_share": mean_entropy_share(learned),
        "weakest_strength": min(strengths, default=None),
        "strongest_strength": max(strengths, default=None),
        "expected_cost_share": costs.expected(
            learned.architecture, learned.strengths, learned.peer_distributions
        ),
    }


def table(stages: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the stages that are done as a table, and what they mean, as lines of text.

    Args:
      stages: of search.json.
    """
    rows = []
    for title, stage, key in NETWORKS:
        network = stages.get(stage, {}).get(key)
        if network:
            rows.append(_row(title, network))
    lines = []
    if rows:
        lines.append(
            f"{'network':28}{'nodes':>6}{'connections':>12}{'parameters':>12}{'GFLOPs':>9}{'steps':>7}"
            f"  {stages['search']['metric']}"
        )
    return "\n".join([*lines, *rows, *_meaning(stages)])


def _row(title: str, network: Mapping[str, Any]) -> str:
    score = "" if network["score"] is None else f"{network['score']:.4f}"
    return (
        f"{title:28}{network['nodes']:>6}{network['connections']:>12}{network['parameters']:>12,}"
        f"{network['flops'] / 1e9:>9.3f}{network['steps']:>7}  {score}"
    )


def _meaning(stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = []
    retrain = stages.get("retrain", {})
    if retrain.get("kept_score_percent") is not None:
        lines.append(
            f"retrained, it keeps {retrain['kept_score_percent']:.1f} % of the one-shot network's "
            f"{stages['search']['metric']} after {retrain['steps_percent']:.1f} % of its steps"
        )
    if attention := stages.get("derive", {}).get("attention"):
        lines.append(
            f"its peers add {attention['added_flops_percent']:.3f} % of FLOPs and "
            f"{attention['added_parameters_percent']:.2f} % of parameters to the network without attention "
            f"(A.2: {attention['paper_flops_percent']} and {attention['paper_parameters_percent']})"
        )
    return lines
