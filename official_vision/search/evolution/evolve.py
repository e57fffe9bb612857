"""Evolution with an evaluator of the caller's: founders, tournaments, a history that survives a kill.

The oldest graph leaves the population (regularised evolution, Real et al., AAAI 2019): a graph that was
lucky once doesn't stay for ever. Each graph depends on the seed, its number and the records before it
alone, so a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from official_vision.architecture.formats import from_json, save_architecture, to_json
from official_vision.architecture.graph import Architecture
from official_vision.errors import UserError
from official_vision.files import write_json
from official_vision.search.evolution.history import append, keep_settings, read_history
from official_vision.search.evolution.mutation import mutate
from official_vision.search.evolution.ranking import best_of, front_of
from official_vision.specs.evolution import EvolutionSpec

BEST_FILE = "best.json"
FRONT_FILE = "front.json"  # records for which no other is as cheap and better, by FLOPs


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A graph to evaluate.

    Attributes:
      id: its number.
      architecture: the graph.
      parent: the parent's number; None in the first population.
      origin: the parent's node that each node comes from, for inheriting weights; empty without parent.
      mutation: what was done to the parent, in plain JSON values.
    """

    id: int
    architecture: Architecture
    parent: int | None
    origin: dict[int, int]
    mutation: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the evaluation of a graph gave.

    Attributes:
      figure: the higher, the better.
      flops: of a forward pass.
      parameters: of the network.
      strengths: learned sigmoid(w) of each block's inputs, by node.
    """

    figure: float
    flops: float
    parameters: int
    strengths: dict[int, tuple[float, ...]]


def evolve_with(
    evaluate: Callable[[Candidate], Outcome],
    seed_graph: Architecture,
    spec: EvolutionSpec,
    metric: str,
    folder: Path,
) -> Path:
    """Evolves graphs, one after the other; a graph whose evaluation fails is recorded and passed over.

    Args:
      evaluate: trains and judges a graph.
      seed_graph: number 0 of the first population, from which random changes make the others.
      spec: numbers of graphs, guidance, seed.
      metric: name of the figure, for the record.
      folder: of population.jsonl; an evolution that it holds goes on.

    Returns:
      Path of the best graph's architecture file.

    Raises:
      UserError: a loss for a metric, the folder holds an evolution of other settings, or every founder failed.
    """
    if metric.endswith("loss"):
        raise UserError(
            f"Evolution raises its figure. Received: {metric!r}. Use one of which more is better."
        )
    folder.mkdir(parents=True, exist_ok=True)
    graph = json.loads(to_json(seed_graph))
    keep_settings(folder, {**spec.to_dict(), "metric": metric, "seed_graph": graph})
    records = read_history(folder)
    while len(records) < spec.population + spec.children:
        candidate = next_candidate(records, seed_graph, spec)
        records.append(_evaluated(evaluate, candidate, spec, metric))
        append(folder, records[-1])
    best = best_of(_alive(records))
    save_architecture(_graph_of(best), folder / BEST_FILE)
    write_json(folder / FRONT_FILE, front_of(_alive(records)))
    return folder / BEST_FILE


def next_candidate(
    records: list[dict[str, Any]], seed_graph: Architecture, spec: EvolutionSpec
) -> Candidate:
    """Returns the graph that follows the records; the same for the same records."""
    number = len(records)
    generator = np.random.default_rng([spec.seed, number])
    if number < spec.population:
        return _founder(number, seed_graph, generator, spec)
    alive = _alive(records)[-spec.population :]
    drawn = generator.choice(len(alive), min(spec.tournament, len(alive)), replace=False)
    parent = best_of([alive[i] for i in drawn.tolist()])
    strengths = {int(node): values for node, values in parent["strengths"].items()}
    child = mutate(_graph_of(parent), generator, strengths, spec.guided, f"child_{number}")
    return Candidate(number, child.architecture, parent["id"], child.origin, child.words)


def _founder(
    number: int, graph: Architecture, generator: np.random.Generator, spec: EvolutionSpec
) -> Candidate:
    for _ in range(spec.founder_changes if number else 0):
        graph = mutate(graph, generator, {}, guided=False, name=f"founder_{number}").architecture
    return Candidate(number, graph, None, {}, {"kind": "first population"})


def _evaluated(
    evaluate: Callable[[Candidate], Outcome], candidate: Candidate, spec: EvolutionSpec, metric: str
) -> dict[str, Any]:
    began = time.monotonic()
    outcome, reason = None, ""
    try:
        outcome = evaluate(candidate)
        if not math.isfinite(outcome.figure):
            reason = f"{metric} is {outcome.figure}"
    except Exception as error:  # whatever a graph's training does, the search goes on
        reason = f"{type(error).__name__}: {error}"
    good = outcome if not reason else None
    return {
        "id": candidate.id,
        "parent": candidate.parent,
        "mutation": candidate.mutation,
        "architecture": json.loads(to_json(candidate.architecture)),
        "figure": good.figure if good else None,
        "metric": metric,
        "flops": good.flops if good else None,
        "parameters": good.parameters if good else None,
        "strengths": {str(k): list(v) for k, v in good.strengths.items()} if good else {},
        "seconds": round(time.monotonic() - began, 3),
        "round": max(0, candidate.id - spec.population + 1),
        "status": "failed" if reason else "evaluated",
        "reason": reason,
    }


def _alive(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    good = [record for record in records if record["status"] == "evaluated"]
    if not good:
        raise UserError(
            "A first population needs a graph that trains. "
            f"Received: {len(records)} that failed, the last by {records[-1]['reason'][:200]}. "
            "Train the given architecture alone first."
        )
    return good


def _graph_of(record: dict[str, Any]) -> Architecture:
    return from_json(json.dumps(record["architecture"]), f"graph {record['id']}")
