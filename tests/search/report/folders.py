"""Folders as training, search and evolution write them, with numbers that are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.formats import save_architecture, to_json
from official_vision.architecture.graph import Block
from official_vision.architecture.plan import make_plan
from official_vision.search.search_folder import write_stage
from official_vision.training.observation.connection_log import ConnectionLog
from official_vision.training.observation.jsonlines import JsonLines
from tests.training import runs

STEPS = (0, 10, 20)
NETWORK = {"nodes": 5, "connections": 5, "flops": 2_000_000, "parameters": 4_000, "steps": 20}


def settings(folder: Path, **changes):
    """A run's settings; its architecture's file lies in its folder."""
    return runs.config(folder.parent, folder, str(folder / "architecture.json"), **changes)


def learned(graph, step, seed=0):
    """Drawn strengths, and distributions that grow sharper with the steps."""
    random = np.random.default_rng(seed)
    strengths, peers = {}, {}
    for node in make_plan(graph, 4):
        if not isinstance(graph.nodes[node.index], Block):
            continue
        inputs = len(node.fusion.inputs)
        logits = random.normal(size=(inputs, len(node.candidates))) * (0.1 + step / 5)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        peers[node.index] = tuple(map(tuple, (powers / powers.sum(axis=1, keepdims=True)).tolist()))
        weights = random.normal(size=inputs) * step / 10
        if inputs > 1:
            strengths[node.index] = tuple((1 / (1 + np.exp(-weights))).tolist())
    return Learned(graph, strengths, peers, {"step": step})


def write_run(folder: Path, graph=None, steps=STEPS):
    """A finished run; returns what it wrote of its connections."""
    graph = graph or runs.architecture()
    folder.mkdir(parents=True)
    settings(folder, steps=20).save(folder, {})
    save_architecture(graph, folder / "architecture.json")
    log = ConnectionLog(folder, 0, 10)
    records = [learned(graph, step) for step in steps]
    for record in records:
        log.append(record)
    history = JsonLines(folder / "history.jsonl", 0)
    for step in (10, 20):
        common = {"step": step, "seconds": {"training": 1.0}}
        loop = {"loss": 1 / step, "steps": 10, "loop_seconds": 1.0, "learning_rates": {}}
        history.append({"kind": "loop", **common, **loop})
        history.append({"kind": "evaluation", **common, "figures": {"mAP": step / 40}, "videos": 6})
    return records


def write_search(folder: Path):
    """A one-shot search of three stages; returns its derived network."""
    record = write_run(folder / "search")[-1]
    config = settings(folder / "search", steps=20)
    derived = record.derive(0.5).architecture
    save_architecture(derived, folder / "derived.json")
    count = len(list(derived.connections()))
    one_shot = {**NETWORK, "score": 0.75}
    write_stage(folder, config, "search", {"metric": "mAP", "one_shot": one_shot})
    smaller = {**NETWORK, "connections": count}
    curve = [{**NETWORK, "connections": count - 1, "share": 0.4, "score": 0.3}]
    write_stage(folder, config, "derive", {"derived": {**smaller, "score": None}, "curve": curve})
    retrained = {"retrained": {**smaller, "score": 0.7, "steps": 4}}
    shares = {"kept_score_percent": 100 * 0.7 / 0.75, "steps_percent": 20.0}
    write_stage(folder, config, "retrain", {**retrained, **shares})
    return derived


def child(number, parent, figure, flops, **changes):
    """A line of population.jsonl."""
    graph = runs.architecture()
    mutation = None if parent is None else {"kind": "change dilation", "node": 3, "to": 4}
    line = {
        "id": number,
        "parent": parent,
        "mutation": mutation,
        "architecture": json.loads(to_json(graph)),
        "figure": figure,
        "metric": "mAP",
        "flops": flops,
        "parameters": 1000 + number,
        "strengths": {"3": [0.1, 0.5, 0.9], "4": [0.25, 0.75]},
        "seconds": 30.0,
        "round": 0,
        "status": "evaluated" if figure is not None else "failed",
        "reason": "" if figure is not None else "the loss is NaN",
    }
    return {**line, **changes}


# The best is 5; its line is 1, 3, 5. On the front: 0 (cheapest), 3 and 5.
POPULATION = (
    child(0, None, 0.30, 100),
    child(1, None, 0.40, 300),
    child(2, 1, None, 200),
    child(3, 1, 0.50, 250),
    child(4, 1, 0.45, 260),
    child(5, 3, 0.60, 400),
    child(6, 3, 0.60, 500),
)


def write_population(folder: Path, lines=POPULATION):
    """An evolution's folder."""
    folder.mkdir(parents=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "population.jsonl").write_text(text)
    return folder
