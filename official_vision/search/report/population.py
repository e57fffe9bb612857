"""The page's view of an evolution: all children, the front, and the ancestors of the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision.architecture.formats import from_dict
from official_vision.errors import UserError
from official_vision.search.evolution.history import POPULATION_FILE
from official_vision.search.evolution.selection import best_of, front_of, sign_of
from official_vision.search.report.drawing import draw_network
from official_vision.training.observation.jsonlines import read_lines

_MOST_SIBLINGS = (
    12  # of a generation that are drawn, the best ones; the page shows how many are not
)
_FOUNDER = "first population"


def describe_population(folder: Path) -> dict[str, Any]:
    """Returns the page's data of an evolution's folder.

    Raises:
      UserError: population.jsonl has lines that evolution does not write.
    """
    path = folder / POPULATION_FILE
    try:
        return _described(read_lines(path, "id"))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"{POPULATION_FILE} must hold one line per child, as evolution writes it. Received: {path} "
            f"({type(error).__name__}: {error}). Use the search's file."
        ) from error


def _described(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    children = {record["id"]: record for record in records if "id" in record}
    scored = [child for child in children.values() if _is_scored(child)]
    metric = next((child["metric"] for child in children.values()), "")
    failed = sum(child["status"] == "failed" for child in children.values())
    report: dict[str, Any] = {
        "kind": "evolution",
        "facts": [
            ["Children", f"{len(children)} (of which {failed} failed)"],
            ["Figure", metric],
        ],
        "missing": [],
    }
    if not scored:
        report["missing"].append("The population: no child has been evaluated yet.")
        return report
    lineage = lineage_of(children, best_of(scored)["id"])
    report["facts"] += _facts(scored, best_of(scored), len(lineage))
    report["evolution"] = {
        "metric": metric,
        "is_loss": sign_of(metric) < 0,
        "children": [_row(child) for child in children.values()],
        "best_so_far": _best_so_far(scored),
        "front": [child["id"] for child in front_of(scored)],
        "lineage": [child["id"] for child in lineage],
        "generations": _generations(children, lineage),
        "drawings": [_drawing(child) for child in lineage],
    }
    return report


def lineage_of(children: Mapping[int, Mapping[str, Any]], last: int) -> list[Mapping[str, Any]]:
    """Returns a child's ancestors from the first population on, ending with the child."""
    line: list[Mapping[str, Any]] = []
    current: int | None = last
    # A file that somebody has edited may lead in a circle.
    while current in children and children[current] not in line:
        line.append(children[current])
        current = children[current]["parent"]
    return line[::-1]


def mutation_words(mutation: Any) -> str:
    """Describes a mutation: its names and values in one line of text."""
    if not mutation:
        return _FOUNDER
    if isinstance(mutation, Mapping):
        if mutation.get("kind") in _WORDS:
            return _WORDS[mutation["kind"]](mutation)
        return ", ".join(
            str(value) if name in ("kind", "words") else f"{name.replace('_', ' ')} {_plain(value)}"
            for name, value in mutation.items()
            if value is not None
        )
    return _plain(mutation)


def _rewired(mutation: Mapping[str, Any]) -> str:
    parts = [(verb, mutation[verb]) for verb in ("added", "dropped") if mutation[verb]]
    return "; ".join(f"{verb} {', '.join(map(_link, links))}" for verb, links in parts)


def _link(ends: Sequence[int]) -> str:
    return f"{ends[0]} → {ends[1]}"


# What evolution does (search/evolution/mutation.py), by kind; numbers are the parent's nodes.
_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "connections": _rewired,
    "dilation": lambda m: f"dilation of node {m['node']}: {m['to']}, was {m['from']}",
    "split": lambda m: f"node {m['node']} split: {' and '.join(map(str, m['channels']))} channels",
    "merge": lambda m: (
        f"nodes {' and '.join(map(str, m['nodes']))} merged: {m['channels']} channels"
    ),
    "peer": lambda m: f"peer of {_link(m['connection'])}: {m['to']}, was {m['from']}",
}


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(_plain, value))
    return str(value)


def _is_scored(child: Mapping[str, Any]) -> bool:
    figure = child["figure"]
    is_number = isinstance(figure, (int, float)) and math.isfinite(figure)
    return child["status"] == "evaluated" and is_number


def _facts(
    scored: Sequence[Mapping[str, Any]], best: Mapping[str, Any], generations: int
) -> list[list[str]]:
    founders = [child for child in scored if child["parent"] is None]
    seconds = sum(child.get("seconds") or 0 for child in scored)
    facts = [["Best", f"{best['figure']:.4f}, child {best['id']}, generation {generations - 1}"]]
    if founders:
        facts.append(["First population's best", f"{best_of(founders)['figure']:.4f}"])
    return [*facts, ["Training time", f"{seconds / 60:.1f} min over all children"]]


def _row(child: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": child["id"],
        "parent": child["parent"],
        "figure": child["figure"] if _is_scored(child) else None,
        "flops": child["flops"],
        "parameters": child["parameters"],
        "status": child["status"],
        "reason": child.get("reason") or "",
        "mutation": mutation_words(child["mutation"]),
    }


def _best_so_far(scored: Sequence[Mapping[str, Any]]) -> list[list[float]]:
    """Yields (id, figure) each time that a child is better than all before it, and at the end."""
    points: list[list[float]] = []
    for child in sorted(scored, key=lambda child: child["id"]):
        sign = sign_of(child["metric"])
        if not points or sign * child["figure"] > sign * points[-1][1]:
            points.append([child["id"], child["figure"]])
    last = max(child["id"] for child in scored)
    return [*points, [last, points[-1][1]]] if points[-1][0] != last else points


def _generations(
    children: Mapping[int, Mapping[str, Any]], lineage: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Returns each ancestor with its siblings, best first: ids, and how many others there are."""
    generations = []
    for ancestor in lineage:
        parent = ancestor["parent"]
        others = [
            child
            for child in children.values()
            if parent is not None and child["parent"] == parent and child["id"] != ancestor["id"]
        ]
        sign = sign_of(ancestor["metric"])
        others.sort(
            key=lambda child: (
                not _is_scored(child),
                -sign * child["figure"] if _is_scored(child) else 0,
                child["id"],
            )
        )
        shown = [child["id"] for child in others[:_MOST_SIBLINGS]]
        generations.append(
            {"id": ancestor["id"], "siblings": shown, "left_out": len(others) - len(shown)}
        )
    return generations


def _drawing(child: Mapping[str, Any]) -> dict[str, Any]:
    strengths = {int(node): row for node, row in (child.get("strengths") or {}).items()}
    graph = from_dict(child["architecture"])
    fitting = {
        node: row
        for node, row in strengths.items()
        if node < len(graph.nodes) and len(graph.nodes[node].inputs) == len(row)
    }
    return draw_network(graph, fitting)
