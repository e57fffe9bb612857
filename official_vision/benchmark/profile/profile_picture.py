"""Drawings of profiles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from official_vision.presentation.pictures import save_png


def draw_profiles(result: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Draws one row of bars per network and precision: nodes, streams and kinds of operation.

    Args:
      result: of benchmark/profile/profile.py.
      path: of the PNG.
    """
    save_png(make_figure(result), path)


def make_figure(result: Mapping[str, Any]) -> Figure:
    """Returns the figure that `draw_profiles` saves."""
    profiles = result["profiles"]
    longest = max(len(profile["places"]) for profile in profiles)
    figure = Figure(figsize=(13, len(profiles) * (1.2 + 0.24 * longest)), layout="constrained")
    for row, profile in zip(
        figure.subfigures(len(profiles), squeeze=False)[:, 0], profiles, strict=True
    ):
        row.suptitle(
            f"{result['what']} of {profile['name']}, {profile['precision']}: "
            f"{profile['seconds']['median']:.3f} s per call"
        )
        for axes, table in zip(row.subplots(1, 3), ("places", "streams", "kinds"), strict=True):
            _draw_bars(axes, profile[table])
    return figure


def _draw_bars(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    names = [row["name"] for row in rows]
    axes.barh(names, [100 * row["share"] for row in rows], color="C0", label="of time")
    if "share_of_flops" in rows[0]:
        shares = [100 * row["share_of_flops"] for row in rows]
        axes.plot(shares, names, "D", color="C1", markersize=4, label="of FLOPs")
        axes.legend(loc="lower right", fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("%")
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(axis="x", alpha=0.3)
