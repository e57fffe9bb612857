"""Evolution on a task whose figure is arithmetic on the graph: it climbs and goes on."""

import json

import pytest

from official_vision.architecture.formats import read_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError
from official_vision.search.evolution.evolve import InTurn, Outcome, evolve_with
from official_vision.specs.evolution import EvolutionSpec

SEED = Architecture(
    "seed",
    (
        Stem("rgb", 64),
        Stem("flow", 64),
        Block(1, (0, 1), 64),
        Block(1, (1,), 64, 2),
        Block(2, (2, 3), 256, 1, 2),
        Block(3, (4,), 512, 1, 2),
        Block(4, (4, 5), 512, 2, 2),
    ),
)
SPEC = EvolutionSpec(population=4, children=30, tournament=2, founder_changes=2)


def _useful(source, consumer):
    """Connections that skip a level help, all others harm."""
    return consumer.level - source.level >= 2


def judge(candidate):
    nodes = candidate.architecture.nodes
    links = [_useful(nodes[a], nodes[b]) for a, b in candidate.architecture.connections()]
    strengths = {
        i: tuple(0.9 if _useful(nodes[s], n) else 0.1 for s in n.inputs)
        for i, n in enumerate(nodes)
        if len(n.inputs) > 1
    }
    return Outcome(2.0 * sum(links) - len(links), 1.0, 1, strengths)


def _records(folder):
    lines = (folder / "population.jsonl").read_text().splitlines()
    return [{**json.loads(line), "seconds": 0} for line in lines]


def test_it_climbs_above_the_first_population_and_writes_the_best(tmp_path):
    best = evolve_with(InTurn(judge), SEED, SPEC, "score", tmp_path)
    records = _records(tmp_path)
    assert len(records) == 34
    top = max(record["figure"] for record in records)
    assert top > max(record["figure"] for record in records[:4])
    graph = read_architecture(best)
    links = [_useful(graph.nodes[a], graph.nodes[b]) for a, b in graph.connections()]
    assert 2 * sum(links) - len(links) == top


def test_a_killed_evolution_goes_on_as_if_undisturbed(tmp_path):
    evolve_with(InTurn(judge), SEED, SPEC, "score", tmp_path / "whole")

    def killed(candidate):
        if candidate.id == 11:
            raise KeyboardInterrupt
        return judge(candidate)

    with pytest.raises(KeyboardInterrupt):
        evolve_with(InTurn(killed), SEED, SPEC, "score", tmp_path / "cut")
    with open(tmp_path / "cut" / "population.jsonl", "a") as file:
        file.write('{"id": 11, "par')  # what a kill in the middle of a write leaves
    evolve_with(InTurn(judge), SEED, SPEC, "score", tmp_path / "cut")
    assert _records(tmp_path / "cut") == _records(tmp_path / "whole")


def test_failures_are_recorded_and_never_become_parents(tmp_path):
    def often_fails(candidate):
        if candidate.id % 3 == 1:
            raise ValueError("broken on purpose")
        if candidate.id % 7 == 2:
            return Outcome(float("nan"), 1.0, 1, {})
        return judge(candidate)

    evolve_with(InTurn(often_fails), SEED, SPEC, "score", tmp_path)
    records = _records(tmp_path)
    failed = {r["id"]: r["reason"] for r in records if r["status"] == "failed"}
    assert failed == {
        i: "ValueError: broken on purpose" if i % 3 == 1 else "score is nan"
        for i in range(34)
        if i % 3 == 1 or i % 7 == 2
    }
    assert not {r["parent"] for r in records} & failed.keys()


def test_other_settings_are_refused_with_the_differences(tmp_path):
    evolve_with(InTurn(judge), SEED, SPEC, "score", tmp_path)
    other = EvolutionSpec(population=4, children=30, tournament=3, founder_changes=2)
    with pytest.raises(UserError, match="tournament: 2 then, 3 now"):
        evolve_with(InTurn(judge), SEED, other, "score", tmp_path)
    longer = {"train.steps": 30}
    with pytest.raises(UserError, match=r"train\.steps: None then, 30 now"):
        evolve_with(InTurn(judge), SEED, SPEC, "score", tmp_path, settings=longer)


def test_a_loss_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match="validation_loss"):
        evolve_with(InTurn(judge), SEED, SPEC, "validation_loss", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_front_holds_the_graphs_that_no_other_beats_at_their_cost(tmp_path):
    def costed(candidate):
        flops = float(len(candidate.architecture.nodes))
        return Outcome(judge(candidate).figure + candidate.id / 100, flops, 1, {})

    evolve_with(InTurn(costed), SEED, SPEC, "score", tmp_path)
    records = _records(tmp_path)
    expected = {
        one["id"]
        for one in records
        if not any(
            other["flops"] <= one["flops"] and other["figure"] > one["figure"] for other in records
        )
    }
    assert {one["id"] for one in json.loads((tmp_path / "front.json").read_text())} == expected
