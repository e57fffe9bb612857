"""Evolution with an evaluator of the caller: founders, tournaments, a history that survives a kill.

The oldest graph leaves the population (regularised evolution, Real et al., AAAI 2019): a graph that was
lucky once doesn't stay for ever. Each graph depends on the seed, its number and the records before its
round alone, so a search that was killed goes on as if it had not been, on any backend.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from official_vision.architecture.formats import from_json, save_architecture, to_json
from official_vision.architecture.graph import Architecture
from official_vision.errors import UserError, reason_of
from official_vision.files import write_json
from official_vision.search.evolution.history import append, keep_settings, read_history
from official_vision.search.evolution.mutation import mutate
from official_vision.search.evolution.selection import best_of, front_of
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
    """The result of a graph's evaluation.

    Attributes:
      figure: the higher, the better.
      flops: of a forward pass.
      parameters: of the network.
      strengths: learned sigmoid(w) of each block's inputs, by node; 1 of an only input.
      seconds: that the evaluation took.
      inherited: weights that training began with those of the parent.
    """

    figure: float
    flops: float
    parameters: int
    strengths: dict[int, tuple[float, ...]]
    seconds: float = 0.0
    inherited: int = 0


class Evaluator(Protocol):
    """The interface of backends that evaluate graphs."""

    def submit(self, candidate: Candidate) -> Future[Outcome]:
        """Begins an evaluation; an exception marks the graph as failed."""


class InTurn:
    """Evaluates each graph at once, in the caller's thread."""

    def __init__(self, evaluate: Callable[[Candidate], Outcome]):
        self._evaluate = evaluate

    def submit(self, candidate: Candidate) -> Future[Outcome]:
        """Begins an evaluation; see `Evaluator`."""
        future: Future[Outcome] = Future()
        try:
            future.set_result(self._evaluate(candidate))
        except Exception as error:  # the caller's business, as it would be of another process
            future.set_exception(error)
        return future


def evolve_with(
    evaluator: Evaluator,
    seed_graph: Architecture,
    spec: EvolutionSpec,
    metric: str,
    folder: Path,
    note: Callable[[Sequence[dict[str, Any]]], None] = lambda _: None,
    settings: Mapping[str, Any] = types.MappingProxyType({}),
) -> Path:
    """Evolves graphs, round by round; a graph whose evaluation fails is recorded and passed over.

    Args:
      evaluator: trains and judges graphs; those of a round at the same time.
      seed_graph: number 0 of the first population, from which random changes make the others.
      spec: numbers of graphs, guidance, seed.
      metric: name of the figure, for the record.
      folder: of population.jsonl; an evolution in it goes on.
      note: is called with all records after each new one.
      settings: what the evaluation depends on besides, in plain JSON values; they may not change while an
        evolution goes on.

    Returns:
      Path of the best graph's architecture file.

    Raises:
      UserError: a loss for a metric, the folder has an evolution of other settings, or every founder failed.
    """
    if metric.endswith("loss"):
        raise UserError(
            f"Evolution raises its figure. Received: {metric!r}. Use one of which more is better."
        )
    folder.mkdir(parents=True, exist_ok=True)
    graph = json.loads(to_json(seed_graph))
    of_this_search = {**spec.of_the_result(), "metric": metric, "seed_graph": graph}
    keep_settings(folder, {**settings, **of_this_search})
    records = read_history(folder)
    while len(records) < spec.population + spec.children:
        round_of = _round(records, seed_graph, spec)
        for candidate, future in [(one, evaluator.submit(one)) for one in round_of]:
            records.append(_record(candidate, future, spec, metric))
            append(folder, records[-1])
            note(records)
    best = best_of(alive(records))
    save_architecture(_graph_of(best), folder / BEST_FILE)
    write_json(folder / FRONT_FILE, front_of(alive(records)))
    return folder / BEST_FILE


def _round(
    records: list[dict[str, Any]], seed_graph: Architecture, spec: EvolutionSpec
) -> list[Candidate]:
    """Returns the graphs to evaluate next; of an interrupted round, the remaining ones."""
    number = len(records)
    if number < spec.population:
        numbers = range(number, spec.population)
    else:
        end = _first_of_round(number, spec) + spec.at_once
        numbers = range(number, min(end, spec.population + spec.children))
    return [next_candidate(records, seed_graph, spec, number) for number in numbers]


def _first_of_round(number: int, spec: EvolutionSpec) -> int:
    """Returns the number of the first child of the round to which child `number` belongs."""
    return number - (number - spec.population) % spec.at_once


def still_needed(records: list[dict[str, Any]], spec: EvolutionSpec) -> set[int]:
    """Returns the graphs that others may still inherit from: parents of this round or the next, and the best."""
    number = len(records)
    if number <= spec.population:
        return set(range(number))
    before = population_of(records[: _first_of_round(number, spec)], spec)
    after = population_of(records, spec)
    return {record["id"] for record in (*before, *after, best_of(alive(records)))}


def population_of(
    records: Sequence[dict[str, Any]], spec: EvolutionSpec
) -> Sequence[dict[str, Any]]:
    """Returns the youngest graphs that were evaluated: those from which parents are drawn."""
    return alive(records)[-spec.population :]


def next_candidate(
    records: list[dict[str, Any]], seed_graph: Architecture, spec: EvolutionSpec, number: int
) -> Candidate:
    """Returns graph `number`: the same for the same records of earlier rounds."""
    generator = np.random.default_rng([spec.seed, number])
    if number < spec.population:
        return _founder(number, seed_graph, generator, spec)
    living = population_of(records[: _first_of_round(number, spec)], spec)
    drawn = generator.choice(len(living), min(spec.tournament, len(living)), replace=False)
    parent = best_of([living[i] for i in drawn.tolist()])
    strengths = {int(node): values for node, values in parent["strengths"].items()}
    child = mutate(
        _graph_of(parent),
        generator,
        strengths,
        spec.guided,
        f"child_{number}",
        spec.connections_share,
    )
    return Candidate(number, child.architecture, parent["id"], child.origin, child.words)


def _founder(
    number: int, graph: Architecture, generator: np.random.Generator, spec: EvolutionSpec
) -> Candidate:
    for _ in range(spec.founder_changes if number else 0):
        graph = mutate(graph, generator, {}, guided=False, name=f"founder_{number}").architecture
    return Candidate(number, graph, None, {}, {"kind": "first population"})


def _record(
    candidate: Candidate, future: Future[Outcome], spec: EvolutionSpec, metric: str
) -> dict[str, Any]:
    outcome, reason = None, ""
    try:
        outcome = future.result()
        if not math.isfinite(outcome.figure):
            reason = f"{metric} is {outcome.figure}"
    except Exception as error:  # the search goes on after any failure of a graph's training
        reason = f"{type(error).__name__}: {reason_of(error)}"
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
        "inherited": good.inherited if good else None,
        "strengths": {str(k): list(v) for k, v in good.strengths.items()} if good else {},
        "seconds": round(good.seconds, 3) if good else None,
        "round": max(0, (candidate.id - spec.population) // spec.at_once + 1),
        "status": "failed" if reason else "evaluated",
        "reason": reason,
    }


def alive(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the records of graphs that were evaluated.

    Raises:
      UserError: there are none.
    """
    good = [record for record in records if record["status"] == "evaluated"]
    if not good:
        raise UserError(
            "A first population needs a graph that trains. "
            f"Received: {len(records)} that failed, the last by {records[-1]['reason'][:200]}. "
            "Train ModelSpec.architecture alone first."
        )
    return good


def _graph_of(record: dict[str, Any]) -> Architecture:
    return from_json(json.dumps(record["architecture"]), f"graph {record['id']}")
