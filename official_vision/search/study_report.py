"""The result of a study: a table with spreads, a picture of all runs, and everything as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from official_vision.presentation import palette
from official_vision.presentation.pictures import save_png
from official_vision.search.study import ExpectedPeers, Outcome, Variant


@dataclasses.dataclass(frozen=True)
class Row:
    """A variant over its seeds.

    Attributes:
      variant: its name.
      values: of the runs that came to their end, in the order of seeds.
      failed: runs that did not.
      runs_that_match: runs whose peers are all among the expected ones.
    """

    variant: str
    values: tuple[float, ...]
    failed: int
    runs_that_match: int

    @property
    def mean(self) -> float | None:
        """Returns the mean over seeds."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Returns the sample standard deviation over seeds; None of less than two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


def rows_of(variants: Sequence[Variant], outcomes: Sequence[Outcome]) -> list[Row]:
    """Returns one row per variant, in the order of `variants`."""
    rows = []
    for variant in variants:
        of_variant = [outcome for outcome in outcomes if outcome.variant == variant.name]
        values = tuple(outcome.value for outcome in of_variant if outcome.value is not None)
        matching = sum(
            bool(outcome.peers_match) and all(outcome.peers_match) for outcome in of_variant
        )
        rows.append(Row(variant.name, values, sum(bool(o.failure) for o in of_variant), matching))
    return rows


def to_markdown(rows: Sequence[Row], metric: str, expected: Sequence[ExpectedPeers]) -> str:
    """Returns the table: mean, standard deviation, least and greatest over seeds."""
    heads = ["variant", "seeds", f"{metric}, mean", "deviation", "least", "greatest"]
    heads += ["runs with expected peers"] if expected else []
    heads += ["failed"] if any(row.failed for row in rows) else []
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        least, greatest = (min(row.values), max(row.values)) if row.values else (None, None)
        cells = [row.variant, str(len(row.values))]
        cells += [_shown(value) for value in (row.mean, row.deviation, least, greatest)]
        cells += [f"{row.runs_that_match} of {len(row.values)}"] if expected else []
        cells += [str(row.failed)] if "failed" in heads else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def to_dict(
    variants: Sequence[Variant],
    outcomes: Sequence[Outcome],
    metric: str,
    expected: Sequence[ExpectedPeers],
) -> dict[str, Any]:
    """Returns every run as JSON values."""
    return {
        "metric": metric,
        "variants": {variant.name: list(variant.bindings) for variant in variants},
        "expected_peers": [dataclasses.asdict(wanted) for wanted in expected],
        "runs": [dataclasses.asdict(outcome) for outcome in outcomes],
    }


def draw(rows: Sequence[Row], metric: str, path: Path) -> None:
    """Draws one dot per run and one row per variant, with the mean as a line."""
    figure = Figure(figsize=(7, 0.9 + 0.45 * len(rows)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        axes.plot(row.values, [place] * len(row.values), "o", color=palette.FIRST, alpha=0.55)
        if row.mean is not None:
            axes.plot([row.mean] * 2, [place - 0.3, place + 0.3], color=palette.SECOND, linewidth=2)
    axes.set_yticks(range(len(rows)), [row.variant for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{metric} at the end of training (dots: seeds; line: their mean)")
    axes.grid(axis="x", alpha=0.3)
    save_png(figure, path)
