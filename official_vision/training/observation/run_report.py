"""The summary of a run, on one page and as JSON, from the run's record over its interruptions."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files, formats
from official_vision.config import Config
from official_vision.training.observation.first_lines import rate_line
from official_vision.training.observation.history import (
    BEST_EVALUATION_FILE,
    BEST_FIELDS,
    HISTORY_FILE,
)
from official_vision.training.observation.jsonlines import read_lines
from official_vision.training.observation.run_report_page import draw_page

SUMMARY_FILE, PAGE_FILE = "summary.json", "summary.png"
_MOST_POINTS = 500


def write_report(folder: Path, config: Config) -> None:
    """Writes summary.json and, if TrainSpec.pictures is set, summary.png.

    Args:
      folder: of a run with at least one loop in its history, finished or not; else nothing is written.
      config: its settings.
    """
    records = read_lines(folder / HISTORY_FILE)
    if not any(record["kind"] == "loop" for record in records):
        return
    best_path = folder / BEST_EVALUATION_FILE
    best = formats.BEST_EVALUATION.read(best_path, BEST_FIELDS) if best_path.is_file() else None
    summary = summarise(records, best, config)
    files.write_json(folder / SUMMARY_FILE, summary)
    if config.train.pictures:
        draw_page(summary, folder / PAGE_FILE)


def summarise(
    records: Sequence[Mapping[str, Any]], best: Mapping[str, Any] | None, config: Config
) -> dict[str, Any]:
    """Returns the summary as JSON values.

    Args:
      records: of the run's history, at least one of a loop.
      best: step, classes and confusion of the best evaluation; None when there was none yet.
      config: settings of the run.
    """
    loops = [record for record in records if record["kind"] == "loop"]
    # An evaluation that was made again counts once.
    evaluations = {r["step"]: r["figures"] for r in records if r["kind"] == "evaluation"}
    # A loop that traces is slower by far than all others: the median passes over it.
    pace = statistics.median(record["loop_seconds"] / record["steps"] for record in loops)
    metric = config.train.best_metric
    names = dict.fromkeys(name for record in loops for name in record["learning_rates"])
    return {
        "run": Path(config.train.model_dir).name,
        "step": loops[-1]["step"],
        "steps": config.train.steps,
        "interruptions": sum(record["kind"] == "resumed" for record in records),
        "best": best
        and {"metric": metric, "step": best["step"], **_value(evaluations, best, metric)},
        "loss": _thinned([(r["step"], r["loss"]) for r in loops]),
        "learning_rates": {
            name: _thinned([(r["step"], r["learning_rates"].get(name)) for r in loops])
            for name in names
        },
        "evaluations": [{"step": step, **figures} for step, figures in evaluations.items()],
        "classes": best["classes"] if best else [],
        "confusion": best["confusion"] if best else None,
        "seconds": _seconds(records),
        "steps_per_second": 1 / pace,
        "clips_per_second": config.train_data.batch_size / pace,
        "settings": _settings(config),
    }


def _value(
    evaluations: Mapping[int, Mapping[str, float]], best: Mapping[str, Any], metric: str
) -> dict[str, float | None]:
    return {"value": evaluations.get(best["step"], {}).get(metric)}


def _thinned(points: Sequence[tuple[int, float | None]]) -> list[list[float]]:
    """Returns at most _MOST_POINTS (step, value): means of neighbours; NaN values are left out."""
    known = [(step, value) for step, value in points if value is not None]
    size = -(-len(known) // _MOST_POINTS) or 1
    groups = [known[start : start + size] for start in range(0, len(known), size)]
    return [[group[-1][0], statistics.fmean(value for _, value in group)] for group in groups]


def _seconds(records: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for record in records:
        for name, seconds in record["seconds"].items():
            total[name] = total.get(name, 0.0) + seconds
    return {name: round(seconds, 3) for name, seconds in total.items()}


def _settings(config: Config) -> dict[str, str]:
    model, data, train, optimizer = config.model, config.train_data, config.train, config.optimizer
    return {
        "network": f"{Path(model.architecture).stem}, depth {model.depth or 'of the graph'}, gate {model.gate}, "
        f"{model.num_classes} classes by {model.activation}",
        "clips": f"{data.frames} frames of {data.size} x {data.size}, {data.batch_size} a step",
        "optimizer": f"{optimizer.name}, {rate_line(optimizer, data.batch_size)}, "
        f"weight decay {optimizer.weight_decay:g}",
        "devices": f"{train.devices}, strategy {train.strategy}, {train.precision}, "
        f"XLA {'by the devices' if train.compiled is None else train.compiled}, seed {train.seed}",
    }
