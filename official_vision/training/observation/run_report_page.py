"""A run on one page: curves, classes, confusion, and time by activity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from official_vision.presentation.palette import FIRST, SECOND, THIRD
from official_vision.presentation.pictures import save_png

_INCHES = (13.0, 9.0)
_DPI = 110
_MOST_CLASSES = 24  # more are cut to the best and worst half of as many
_MOST_NAMED = 16  # classes of a confusion matrix that have their names beside it
_LONGEST_NAME = 32
# Figures that are drawn, of those that an evaluation has.
_DRAWN = ("mAP", "charades_mAP", "top_1", "top_5", "mean_class_accuracy")
_SMALL = {"fontsize": 8, "parse_math": False}


def draw_page(summary: Mapping[str, Any], path: Path) -> None:
    """Draws the summary of training/observation/run_report.py as a PNG, which appears whole or not at all."""
    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    figure.suptitle(_title(summary), fontsize=12, parse_math=False)
    heights = (1.0, 1.5, 0.36)
    grid = figure.add_gridspec(3, 3, height_ratios=heights)
    _draw_losses(figure.add_subplot(grid[0, 0]), summary)
    _draw_figures(figure.add_subplot(grid[0, 1]), summary)
    _draw_rates(figure.add_subplot(grid[0, 2]), summary)
    _draw_classes(figure.add_subplot(grid[1, 0]), summary["classes"])
    if summary["confusion"] is not None:
        _draw_confusion(figure, figure.add_subplot(grid[1, 1]), summary)
    else:
        _draw_against_count(figure.add_subplot(grid[1, 1]), summary["classes"])
    _draw_time(figure.add_subplot(grid[1, 2]), summary)
    _write_settings(figure.add_subplot(grid[2, :]), summary["settings"])
    save_png(figure, path)


def _title(summary: Mapping[str, Any]) -> str:
    title = f"{summary['run']}: step {summary['step']} of {summary['steps']}"
    if summary["interruptions"]:
        times = summary["interruptions"]
        title += f", resumed {'once' if times == 1 else f'{times} times'}"
    best = summary["best"]
    if best and best["value"] is not None:
        title += f"  |  best {best['metric']} {best['value']:.4f} at step {best['step']}"
    return f"{title}  |  {summary['clips_per_second']:.4g} clips/s"


def _prepare(axes: Axes, title: str, xlabel: str = "step") -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(xlabel, fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _empty(axes: Axes, text: str) -> None:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=THIRD)


def _draw_losses(axes: Axes, summary: Mapping[str, Any]) -> None:
    _prepare(axes, "loss")
    if summary["loss"]:
        axes.plot(*zip(*summary["loss"], strict=True), color=FIRST, label="training")
    points = _curve(summary["evaluations"], "validation_loss")
    if points:
        axes.plot(*zip(*points, strict=True), "o-", color=SECOND, ms=3, label="validation")
    if summary["loss"] or points:
        axes.legend(fontsize=8, frameon=False)


def _curve(evaluations: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(e["step"], e[name]) for e in evaluations if e.get(name) is not None]


def _draw_figures(axes: Axes, summary: Mapping[str, Any]) -> None:
    curves = {name: _curve(summary["evaluations"], name) for name in _DRAWN}
    if not any(curves.values()):
        _empty(axes, "no evaluation yet")
        return
    _prepare(axes, "validation")
    for name, points in curves.items():
        if points:
            axes.plot(*zip(*points, strict=True), "o-", ms=3, label=name)
    if summary["best"]:
        axes.axvline(summary["best"]["step"], color=THIRD, lw=1, ls=":", label="best checkpoint")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=8, frameon=False)


def _draw_rates(axes: Axes, summary: Mapping[str, Any]) -> None:
    _prepare(axes, "learning rate")
    for name, points in summary["learning_rates"].items():
        label = "network" if name == "learning_rate" else "connections and peers"
        axes.plot(*zip(*points, strict=True), label=label)
    values = [value for points in summary["learning_rates"].values() for _, value in points]
    positive = [value for value in values if value > 0]
    if len(summary["learning_rates"]) > 1:
        axes.legend(fontsize=8, frameon=False)
        if positive and max(positive) > 30 * min(positive):
            axes.set_yscale("log")


def _short(name: str, longest: int = _LONGEST_NAME) -> str:
    """Shortens long names in the middle: many begin alike."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half + 1 :]}"


def _draw_classes(axes: Axes, classes: Sequence[Mapping[str, Any]]) -> None:
    """Draws bars of average precision, the best on top; a tick in each is the expectation of a random ranking."""
    known = [row for row in classes if row["average_precision"] is not None]
    if not known:
        _empty(axes, "no class with a positive yet")
        return
    known.sort(key=lambda row: -row["average_precision"])
    title, cut = "average precision of each class", len(known) > _MOST_CLASSES
    if cut:
        half = _MOST_CLASSES // 2
        title = f"best and worst {half} of {len(known)} classes, average precision"
        known = known[:half] + known[-half:]
    # A gap parts the best from the worst.
    places = [n + (cut and n >= len(known) // 2) for n in range(len(known))]
    _prepare(axes, title, "tick: share of videos with the class")
    axes.barh(places, [row["average_precision"] for row in known], color=FIRST, alpha=0.8)
    rates = [row["base_rate"] for row in known]
    axes.plot(rates, places, "|", color="black", ms=7)
    names = [f"{_short(row['name'])} ({row['positives']})" for row in known]
    axes.set_yticks(places, names, **{**_SMALL, "fontsize": 7.5})
    axes.invert_yaxis()
    axes.set_xlim(0, 1.01)


def _draw_confusion(figure: Figure, axes: Axes, summary: Mapping[str, Any]) -> None:
    """Draws each row's shares: of the videos of a class, how many are taken for which."""
    counts = np.asarray(summary["confusion"], float)
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros_like(counts), where=rows > 0)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.set_title(f"confusion at step {summary['best']['step']}", fontsize=10, loc="left")
    axes.set_xlabel("predicted", fontsize=8)
    axes.set_ylabel("true", fontsize=8)
    axes.tick_params(labelsize=8)
    names = [_short(row["name"], 18) for row in summary["classes"]]
    if len(names) <= _MOST_NAMED:
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", **_SMALL)
        axes.set_yticks(range(len(names)), names, **_SMALL)
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > 0.6 else "black"
            place = {"ha": "center", "va": "center", "fontsize": 7, "color": colour}
            axes.text(column, row, f"{counts[row, column]:.0f}", **place)
    else:
        figure.colorbar(picture, ax=axes, shrink=0.7).ax.tick_params(labelsize=8)


def _draw_against_count(axes: Axes, classes: Sequence[Mapping[str, Any]]) -> None:
    """Draws one dot per class, which shows whether rare classes are missed."""
    known = [row for row in classes if row["average_precision"] is not None]
    if not known:
        _empty(axes, "no class with a positive yet")
        return
    _prepare(
        axes, "average precision by frequency (dashed: chance)", "share of videos with the class"
    )
    rates = [row["base_rate"] for row in known]
    axes.plot(rates, [row["average_precision"] for row in known], "o", ms=3.5, color=FIRST)
    chance = np.geomspace(min(rates), max(max(rates), min(rates) * 1.01), 50)
    axes.plot(chance, chance, color=THIRD, lw=1, ls="--")
    if max(rates) > 10 * min(rates):
        axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)


def _draw_time(axes: Axes, summary: Mapping[str, Any]) -> None:
    seconds = {name: value for name, value in summary["seconds"].items() if value > 0}
    total = sum(seconds.values())
    ordered = sorted(seconds, key=lambda name: -seconds[name])
    _prepare(axes, f"where {_duration(total)} went", "share of the time")
    shares = [seconds[name] / total for name in ordered]
    axes.barh(range(len(ordered)), shares, color=FIRST, alpha=0.8, height=0.6)
    for place, (name, share) in enumerate(zip(ordered, shares, strict=True)):
        axes.text(
            share + 0.01, place, f"{share:.0%}, {_duration(seconds[name])}", va="center", fontsize=8
        )
    labels = [name.replace(" ", "\n", 1) if len(name) > 12 else name for name in ordered]
    axes.set_yticks(range(len(ordered)), labels, **_SMALL)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.35)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(math.floor(seconds / 60 + 0.5), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _write_settings(axes: Axes, settings: Mapping[str, str]) -> None:
    axes.set_axis_off()
    for place, (name, text) in enumerate(settings.items()):
        y = 0.9 - 0.27 * place
        axes.text(0.0, y, name, fontweight="bold", va="center", **_SMALL)
        axes.text(0.07, y, text, va="center", **_SMALL)
