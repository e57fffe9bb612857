"""Evolution by training: from settings to the best graph, with a picture of figure against cost."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.lock import folder_locked
from official_vision.modeling.builder import resolve_architecture
from official_vision.presentation.pictures import save_png
from official_vision.progress import clock
from official_vision.search.evolution.backends import evaluator_of
from official_vision.search.evolution.child import evaluate, forget_weights
from official_vision.search.evolution.evolve import alive, evolve_with, still_needed
from official_vision.search.evolution.history import read_history
from official_vision.search.evolution.selection import best_of, front_of
from official_vision.training.settings_from_data import settle

PICTURE_FILE = "front.png"
_SECTIONS_OF_TRAINING = (
    *("model", "train_data", "validation_data", "train"),
    *("optimizer", "architecture_optimizer", "connectivity"),
)
# Set anew for each graph.
_OF_EACH_GRAPH = ("model.architecture", "train.model_dir")


def evolve(config: Config, note: Callable[[str], None] = print) -> Path:
    """Evolves ModelSpec.architecture; each graph is trained for TrainSpec.steps.

    Args:
      config: every setting; SearchSpec.output is the folder, EvolutionSpec the procedure.
      note: shows the user a line.

    Returns:
      The folder: best.json is the best network, population.jsonl has all that were tried,
      front.json and front.png those that no other beats at their cost.

    Raises:
      UserError: no folder, a folder of another evolution, settings that don't fit, or no graph trained.
    """
    if not config.search.output:
        raise UserError(
            "SearchSpec.output must be set. Received: ''. Name a folder for the search."
        )
    config = settle(config)
    with folder_locked(config.search.output, "SearchSpec.output", "evolving"):
        return _evolve(config, note)


def _evolve(config: Config, note: Callable[[str], None]) -> Path:
    output, spec = Path(config.search.output), config.evolution
    metric = config.train.best_metric

    def report_progress(records: Sequence[dict[str, Any]]) -> None:
        note(_line(records, spec.population + spec.children, spec.at_once))
        needed = still_needed(records, spec)
        for number in {record["id"] for record in records} - needed:
            forget_weights(output, number)

    seed_graph = resolve_architecture(config.model)
    with evaluator_of(spec, config.train, functools.partial(evaluate, config)) as evaluator:
        best = evolve_with(
            evaluator,
            seed_graph,
            spec,
            metric,
            output,
            report_progress,
            _settings_of_training(config),
        )
    records = alive(read_history(output))
    draw_front(records, metric, output / PICTURE_FILE)
    winner, first = best_of(records), best_of([r for r in records if r["parent"] is None])
    note(
        f"best: graph {winner['id']} of {len(records)}, {metric} {winner['figure']:.4f} at "
        f"{winner['flops'] / 1e9:.3g} GFLOPs; of the first population {first['figure']:.4f}; {best}"
    )
    return output


def _settings_of_training(config: Config) -> dict[str, Any]:
    """Returns what a graph's figures depend on besides the graph, as "section.name"."""
    return {
        f"{section}.{name}": value
        for section, settings in config.to_dict().items()
        for name, value in settings.items()
        if section in _SECTIONS_OF_TRAINING and f"{section}.{name}" not in _OF_EACH_GRAPH
    }


def _line(records: Sequence[Mapping[str, Any]], total: int, at_once: int) -> str:
    """Returns a line with the last graph's result and the time left."""
    last = records[-1]
    origin = (
        "" if last["parent"] is None else f" (from {last['parent']}, {last['mutation']['kind']})"
    )
    head = f"graph {last['id']}{origin}: "
    left = total - len(records)
    took = [record["seconds"] for record in records if record["status"] == "evaluated"]
    seconds = sum(took) / max(1, len(took)) * left / at_once
    tail = f"; {left} left, about {clock(seconds)}" if left else ""
    if last["status"] == "failed":
        return f"{head}failed, {last['reason']}{tail}"
    best = best_of(alive(records))
    inherited = "" if last["parent"] is None else f"{last['inherited']} weights inherited, "
    return (
        f"{head}{last['metric']} {last['figure']:.4f}, {last['flops'] / 1e9:.3g} GFLOPs, "
        f"{inherited}{last['seconds']:.0f} s; best {best['figure']:.4f} "
        f"(graph {best['id']}){tail}"
    )


def draw_front(records: Sequence[Mapping[str, Any]], metric: str, path: Path) -> None:
    """Draws all graphs by cost and figure, the first population apart, and the front."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    first = [record for record in records if record["parent"] is None]
    later = [record for record in records if record["parent"] is not None]
    front = front_of(records)
    for group, name, marker in ((first, "first population", "s"), (later, "children", "o")):
        x, y = [r["flops"] / 1e9 for r in group], [r["figure"] for r in group]
        axes.plot(x, y, marker, label=name, alpha=0.7)
    x, y = [r["flops"] / 1e9 for r in front], [r["figure"] for r in front]
    axes.step(x, y, where="post", color="black", label="front: none is as cheap and better")
    axes.set_xlabel("GFLOPs of a clip")
    axes.set_ylabel(f"{metric} after the budget of one graph")
    axes.grid(alpha=0.3)
    axes.legend()
    save_png(figure, path)
