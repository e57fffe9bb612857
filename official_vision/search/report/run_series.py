"""The page's view of a training run and of a one-shot search, read from their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from official_vision import config as configuration
from official_vision import formats
from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.cost.network_cost import Setting
from official_vision.architecture.formats import read_architecture
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.search import search_folder
from official_vision.search.report import derived_network, pruning
from official_vision.search.report.drawing import draw_network
from official_vision.search.report.strength_series import settled_peers, thinned, timeline
from official_vision.training.checkpoints.restore import ARCHITECTURE_FILE
from official_vision.training.cost_setting import setting_of
from official_vision.training.observation.connection_log import LEARNED_FILE, read_connections
from official_vision.training.observation.history import (
    BEST_EVALUATION_FILE,
    BEST_FIELDS,
    HISTORY_FILE,
)
from official_vision.training.observation.jsonlines import read_lines
from official_vision.training.observation.run_report import summarise

# Figures over the steps that are drawn, of those that evaluations have.
_FIGURES = ("mAP", "charades_mAP", "top_1", "mean_class_accuracy")


def describe_run(folder: Path) -> dict[str, Any]:
    """Returns the page's data of a run's folder.

    Raises:
      UserError: no run, or records that do not fit its network.
    """
    return _described(folder, None)


def _described(folder: Path, derived: Architecture | None) -> dict[str, Any]:
    """Returns a run's record, with its derived network, or else those that could be derived."""
    config = configuration.read(folder)
    architecture = read_architecture(folder / ARCHITECTURE_FILE)
    setting = setting_of(config.model, config.validation_data)
    records = _records(folder, architecture)
    missing = []
    report: dict[str, Any] = {
        "kind": "training run",
        "network": _network(architecture, records, setting),
        "curves": _curves(folder, config, missing),
        "costs": _costs(architecture, setting),
    }
    if not records:
        missing.append(
            f"Strengths and peers over the steps: the folder has no {LEARNED_FILE} yet. The network is drawn "
            "as its file has it."
        )
    report["facts"] = _facts(config, architecture, report)
    if records and (records[-1].strengths or records[-1].peer_distributions):
        report["pruning"] = {
            "metric": config.train.best_metric,
            "points": pruning.pruning(records[-1], setting),
            "step": records[-1].source["step"],
            "measured": [],
        }
        if derived is None:
            report["derived"] = {
                "entries": derived_network.derivable(records[-1], setting),
                "published": derived_network.published(architecture, setting),
            }
        missing.append(
            "Accuracy against kept connections: nothing has been derived and evaluated in this folder. A one-shot "
            "search (official-vision search) does both."
        )
    if derived is not None:
        report["derived"] = {
            "entries": derived_network.derived(derived, setting),
            "published": derived_network.published(derived, setting),
        }
    report["missing"] = missing
    return report


def describe_search(folder: Path) -> dict[str, Any]:
    """Returns the page's data of a one-shot search's folder, after any stage.

    Raises:
      UserError: no search, or records that do not fit its network.
    """
    path = folder / search_folder.DERIVED_FILE
    derived = read_architecture(path) if path.is_file() else None
    report = _described(folder / search_folder.SEARCH_FOLDER, derived)
    report["kind"] = "one-shot search"
    stages = search_folder.stages_of(folder)
    report["facts"].insert(0, ["Stages done", ", ".join(stages) or "none yet"])
    networks = pruning.measured(stages)
    if len(networks) > 1 and "pruning" in report:
        report["pruning"]["measured"] = networks
        report["missing"].pop()
    if derived is not None:
        report["facts"].append(["Derived", _sizes(derived)])
    retrained = stages.get("retrain", {})
    if retrained.get("kept_score_percent") is not None:
        score, steps = retrained["kept_score_percent"], retrained["steps_percent"]
        report["facts"].append(["Retrained", f"{score:.1f} % of the score in {steps:.1f} % steps"])
    return report


def _records(folder: Path, architecture: Architecture) -> list[Learned]:
    """Returns the lines of learned.jsonl, checked against the network."""
    try:
        records = thinned(read_connections(folder, architecture))
        for learned in records:
            _check(learned)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(
            f"{LEARNED_FILE} must have what training writes about this network. Received: "
            f"{folder / LEARNED_FILE} ({error}). Use the run's file, or remove it."
        ) from error
    return records


def _check(learned: Learned) -> None:
    """Refuses rows of strengths and peers with another number of inputs."""
    for index, row in (*learned.strengths.items(), *learned.peer_distributions.items()):
        inputs = learned.architecture.nodes[index].inputs
        if len(row) != len(inputs):
            raise ValueError(f"node {index} has {len(inputs)} inputs, the line {len(row)}")
    for connection, choice in learned.choices().items():
        if len(choice.candidates) != len(choice.distribution):
            raise ValueError(f"connection {connection} has {len(choice.candidates)} candidates")


def _network(
    architecture: Architecture, records: Sequence[Learned], setting: Setting
) -> dict[str, Any]:
    if not records:
        return {"drawing": draw_network(architecture), "timeline": None, "gate": setting.gate}
    drawing = draw_network(architecture, records[-1].strengths, settled_peers(records))
    return {"drawing": drawing, "timeline": timeline(records), "gate": setting.gate}


def _curves(folder: Path, config: Config, missing: list[str]) -> dict[str, Any] | None:
    records = read_lines(folder / HISTORY_FILE)
    if not any(record["kind"] == "loop" for record in records):
        missing.append(f"Loss and accuracy over the steps: the folder has no {HISTORY_FILE} yet.")
        return None
    best_path = folder / BEST_EVALUATION_FILE
    best = formats.BEST_EVALUATION.read(best_path, BEST_FIELDS) if best_path.is_file() else None
    summary = summarise(records, best, config)
    known = {name for entry in summary["evaluations"] for name in entry}
    return {
        "step": summary["step"],
        "steps": summary["steps"],
        "best": summary["best"],
        "loss": summary["loss"],
        "figures": {
            name: [
                [entry["step"], entry[name]]
                for entry in summary["evaluations"]
                if entry.get(name) is not None
            ]
            for name in dict.fromkeys((config.train.best_metric, *_FIGURES))
            if name in known
        },
    }


def _costs(architecture: Architecture, setting: Setting) -> dict[str, Any]:
    return {
        "connections": pruning.connection_table(architecture, setting),
        "whole": pruning.arithmetic(architecture, setting),
        "clip": f"{setting.frames} frames of {setting.size} x {setting.size}",
    }


def _facts(config: Config, architecture: Architecture, report: dict[str, Any]) -> list[list[str]]:
    """Returns pairs of a name and a value for the head of the page."""
    facts = [
        ["Network", f"{architecture.name}, {_sizes(architecture)}"],
        ["Depth, width", f"{architecture.depth}, x {architecture.width_multiplier:g}"],
        ["Gates", config.model.gate],
    ]
    curves, moments = report["curves"], report["network"]["timeline"]
    if curves:
        facts.append(["Steps", f"{curves['step']} of {curves['steps']}"])
        best = curves["best"]
        if best and best["value"] is not None:
            value = f"{best['value']:.4f} at step {best['step']}"
            facts.append([f"Best {best['metric']}", value])
    if moments and moments["mean_entropy"][-1] is not None:
        start, end = moments["mean_entropy"][0], moments["mean_entropy"][-1]
        facts.append(["Peers' entropy", f"{start:.2f} to {end:.2f} of an even choice's"])
    return facts


def _sizes(architecture: Architecture) -> str:
    connections = len(list(architecture.connections()))
    return f"{len(architecture.nodes)} nodes, {connections} connections"
