"""Graphs evaluated elsewhere: in processes that crash, and on a Ray cluster that loses a node."""

import contextlib
import functools
import json
import os
import signal
import threading
import time

import pytest

from official_vision.errors import UserError
from official_vision.processes.pool import worker_place
from official_vision.search.evolution.backends import evaluator_of
from official_vision.search.evolution.evolve import InTurn, evolve_with
from official_vision.specs import EvolutionSpec, TrainSpec
from tests.liveness import alive
from tests.search.evolution.test_evolve import SEED, judge

SPEC = EvolutionSpec(population=3, children=7, tournament=2, founder_changes=2, at_once=3)


def marked(folder, seconds, candidate):
    """Leaves a file that records where the graph was evaluated, and takes some time for it."""
    number, count = worker_place()
    (folder / f"{candidate.id}-{os.getpid()}").write_text(f"{number} of {count}")
    time.sleep(seconds)
    return judge(candidate)


def crashes(candidate):
    if candidate.id in (1, 5):
        os.kill(os.getpid(), signal.SIGKILL)
    return judge(candidate)


def _records(folder):
    return [json.loads(line) for line in (folder / "population.jsonl").read_text().splitlines()]


def test_graphs_of_a_round_are_evaluated_at_the_same_time_as_if_in_turn(tmp_path):
    (tmp_path / "marks").mkdir()
    evaluate = functools.partial(marked, tmp_path / "marks", 0.3)
    with evaluator_of(SPEC, TrainSpec(), evaluate) as evaluator:
        evolve_with(evaluator, SEED, SPEC, "score", tmp_path / "processes")
    evolve_with(InTurn(judge), SEED, SPEC, "score", tmp_path / "in_turn")
    assert _records(tmp_path / "processes") == _records(tmp_path / "in_turn")
    marks = list((tmp_path / "marks").iterdir())
    processes = {mark.name.split("-")[1] for mark in marks}
    assert len(processes) == 3
    assert {mark.read_text() for mark in marks} == {"0 of 3", "1 of 3", "2 of 3"}
    assert worker_place() == (0, 1)
    assert str(os.getpid()) not in processes


def test_a_process_that_crashes_costs_its_graph_alone(tmp_path):
    with evaluator_of(SPEC, TrainSpec(), crashes) as evaluator:
        evolve_with(evaluator, SEED, SPEC, "score", tmp_path)
    records = _records(tmp_path)
    failed = {record["id"]: record["reason"] for record in records if record["status"] == "failed"}
    assert failed.keys() == {1, 5}
    assert all("crashed" in reason for reason in failed.values())
    assert len(records) == 10


def test_an_interrupt_ends_the_processes(tmp_path):
    began = time.monotonic()
    with (
        contextlib.suppress(KeyboardInterrupt),
        evaluator_of(SPEC, TrainSpec(), functools.partial(marked, tmp_path, 60)) as evaluator,
    ):
        evaluator.submit(_Numbered())
        while not (marks := list(tmp_path.iterdir())):
            assert time.monotonic() - began < 50
            time.sleep(0.05)
        raise KeyboardInterrupt
    process = int(marks[0].name.split("-")[1])
    while alive(process):
        assert time.monotonic() - began < 50
        time.sleep(0.05)


class _Numbered:
    id = 0


def _on_the_lost_node(marks):
    return any(mark.read_text() == "lost" for mark in marks.iterdir())


def never_ends_where_it_is_lost(marks, candidate):
    """A graph on the node named "lost" goes on until the node is gone; others wait for it to begin."""
    place = os.environ.get("PLACE", "")
    (marks / f"{candidate.id}-{os.getpid()}").write_text(place)
    if place == "lost":
        time.sleep(600)
    while not _on_the_lost_node(marks):
        time.sleep(0.05)
    return judge(candidate)


@pytest.mark.slow
def test_a_ray_cluster_that_loses_a_node_finishes_with_every_graph(tmp_path):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    marks = tmp_path / "marks"
    marks.mkdir()
    quiet = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **quiet})
    lost = cluster.add_node(num_cpus=2, env_vars={"PLACE": "lost"}, **quiet)
    spec = EvolutionSpec(**{**SPEC.to_dict(), "backend": "ray", "ray_address": cluster.address})

    def lose_the_node():
        while not _on_the_lost_node(marks):
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)

    loses = threading.Thread(target=lose_the_node, daemon=True)
    loses.start()
    try:
        evaluate = functools.partial(never_ends_where_it_is_lost, marks)
        with evaluator_of(spec, TrainSpec(), evaluate) as evaluator:
            evolve_with(evaluator, SEED, spec, "score", tmp_path / "ray")
    finally:
        cluster.shutdown()
        ray.shutdown()
    evolve_with(InTurn(judge), SEED, SPEC, "score", tmp_path / "in_turn")
    assert _records(tmp_path / "ray") == _records(tmp_path / "in_turn")
    # What was under way on the lost node was begun again elsewhere.
    assert not loses.is_alive()
    begun_on = {
        place: {mark.name.split("-")[0] for mark in marks.iterdir() if mark.read_text() == place}
        for place in ("lost", "")
    }
    assert begun_on["lost"]
    assert begun_on["lost"] < begun_on[""]


def test_a_cluster_that_is_not_there_is_one_line():
    pytest.importorskip("ray")
    spec = EvolutionSpec(backend="ray", ray_address="127.0.0.1:1")
    with pytest.raises(UserError, match="ray start --head"), evaluator_of(spec, TrainSpec(), judge):
        pass
