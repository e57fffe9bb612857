"""Compares evolutions: seeds of the same settings, and different settings."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from official_vision.errors import UserError
from official_vision.presentation.pictures import save_png
from official_vision.search.evolution.evolve import alive
from official_vision.search.evolution.history import (
    POPULATION_FILE,
    SETTINGS_FILE,
    read_history,
    read_settings,
)
from official_vision.search.evolution.selection import best_of, front_of

Records = Sequence[Mapping[str, Any]]
Groups = Mapping[str, Sequence[Records]]


def compare_evolutions(
    folders: Sequence[str | os.PathLike], picture: str | os.PathLike = ""
) -> str:
    """Compares finished evolutions; those that differ by their seed alone are one row.

    Args:
      folders: of evolutions of equal budget, two or more.
      picture: PNG file for the best figure by number of graphs, and for the fronts; empty for none.

    Returns:
      A table: of each group the best of the first population, the best of all, the mean of all children
      and of what a child has more than its parent, each as mean ± standard deviation over seeds.

    Raises:
      UserError: fewer than two folders, no finished evolution in one, or unequal budgets.
    """
    if len(folders) < 2:
        raise UserError(
            f"A comparison is between evolutions. Received: {len(folders)} folder. Name two or more."
        )
    groups = grouped([Path(folder) for folder in folders])
    if picture:
        draw(groups, picture)
    return "\n".join(_table(groups))


def grouped(folders: Sequence[Path]) -> dict[str, list[Records]]:
    """Returns the records of each evolution, by the settings in which groups differ.

    Raises:
      UserError: no finished evolution in a folder, or unequal budgets.
    """
    settings = [_settings(folder) for folder in folders]
    names = dict.fromkeys(name for group in settings for name in group)
    differing = [n for n in names if any(group.get(n) != settings[0].get(n) for group in settings)]
    if uneven := {"population", "children", "metric"} & {*differing}:
        raise UserError(
            "Evolutions are compared at equal budgets and by one figure. Received: other values of "
            f"{', '.join(sorted(uneven))} in {', '.join(map(str, folders))}. Compare those that agree."
        )
    groups: dict[str, list[Records]] = {}
    for folder, group in zip(folders, settings, strict=True):
        shown = [n for n in differing if n.rpartition(".")[-1] != "seed"]
        name = ", ".join(f"{n} {_shown(group.get(n))}" for n in shown) or "all"
        groups.setdefault(name, []).append(
            _finished(folder, group["population"] + group["children"])
        )
    return groups


def _settings(folder: Path) -> dict[str, Any]:
    if not (folder / SETTINGS_FILE).is_file():
        raise UserError(
            f"An evolution's folder has {SETTINGS_FILE}. Received: {folder}, which lacks it. "
            "Name the folder that SearchSpec.output gave it."
        )
    settings = read_settings(folder)
    graph = {n: value for n, value in settings["seed_graph"].items() if n != "provenance"}
    return {**settings, "seed_graph": graph}


def _finished(folder: Path, total: int) -> Records:
    records = read_history(folder)
    if len(records) < total:
        raise UserError(
            f"Finished evolutions are compared. Received: {folder}, in which {len(records)} of {total} graphs "
            f"were tried ({POPULATION_FILE}). Run its search to the end."
        )
    return records


def _shown(value: Any) -> str:
    return value["name"] if isinstance(value, dict) else json.dumps(value)


def _table(groups: Groups) -> list[str]:
    width = max(len(name) for name in groups)
    first_best = "first population's best"
    lines = [
        f"{'':{width}}  seeds  {first_best:>23}  {'best of all':>17}  "
        f"{'mean of children':>17}  {'less its parent':>17}  failed"
    ]
    for name, runs in groups.items():
        first = [best_of(_founders(records))["figure"] for records in runs]
        best = [best_of(alive(records))["figure"] for records in runs]
        mean = [statistics.fmean(r["figure"] for r in _children(records)) for records in runs]
        gain = [statistics.fmean(_gains(records)) for records in runs]
        failed = sum(record["status"] == "failed" for records in runs for record in records)
        lines.append(
            f"{name:{width}}  {len(runs):>5}  {_spread(first):>23}  {_spread(best):>17}  "
            f"{_spread(mean):>17}  {_spread(gain):>17}  {failed:>6}"
        )
    return lines


def _spread(values: Sequence[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):.4f} ± {deviation:.4f}"


def _founders(records: Records) -> Records:
    return [record for record in alive(records) if record["parent"] is None]


def _children(records: Records) -> Records:
    return [record for record in alive(records) if record["parent"] is not None]


def _gains(records: Records) -> list[float]:
    """Returns each child's gain over its parent; `records` are in the order of their numbers."""
    return [r["figure"] - records[r["parent"]]["figure"] for r in _children(records)]


def best_so_far(records: Records) -> list[float]:
    """Returns, for every number of graphs tried, the best figure among them; nan before the first."""
    figures = [r["figure"] if r["status"] == "evaluated" else float("nan") for r in records]
    return np.fmax.accumulate(figures).tolist()


def draw(groups: Groups, path: str | os.PathLike) -> None:
    """Draws each evolution's best figure over the graphs tried, and its front of figure and cost."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    progress, fronts = figure.subplots(1, 2)
    for number, (name, runs) in enumerate(groups.items()):
        colour = f"C{number}"
        curves = [best_so_far(records) for records in runs]
        for curve in curves:
            progress.step(range(1, len(curve) + 1), curve, where="post", color=colour, alpha=0.35)
        mean = [statistics.fmean(values) for values in zip(*curves, strict=True)]
        progress.plot(range(1, len(mean) + 1), mean, color=colour, linewidth=2.5, label=name)
        for position, records in enumerate(runs):
            front = front_of(alive(records))
            x, y = [r["flops"] / 1e9 for r in front], [r["figure"] for r in front]
            label = name if position == 0 else None
            fronts.step(x, y, "o-", where="post", color=colour, alpha=0.7, label=label)
    metric = next(iter(groups.values()))[0][0]["metric"]
    progress.set_xlabel("graphs tried")
    progress.set_ylabel(f"best {metric} so far; thick: mean over seeds")
    fronts.set_xlabel("GFLOPs of a clip")
    fronts.set_ylabel(f"{metric}; no graph is as cheap and better")
    for axes in (progress, fronts):
        axes.grid(alpha=0.3)
        axes.legend()
    save_png(figure, path)
