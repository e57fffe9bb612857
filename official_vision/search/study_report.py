"""The result of a study: a table with spreads, a picture of all runs, and everything as JSON."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from official_vision.errors import UserError, nearest
from official_vision.presentation import palette
from official_vision.presentation.pictures import save_png
from official_vision.search.study import ExpectedPeers, Outcome, Variant


@dataclasses.dataclass(frozen=True)
class Row:
    """A variant over its seeds.

    Attributes:
      variant: its name.
      values: of the study's figure, by seed, of the runs that came to their end.
      failed: runs that did not.
      runs_that_match: runs whose peers are all among the expected ones.
      others: further figures by name, each by seed.
    """

    variant: str
    values: Mapping[int, float]
    failed: int
    runs_that_match: int
    others: Mapping[str, Mapping[int, float]] = dataclasses.field(default_factory=dict)


def rows_of(
    variants: Sequence[Variant], outcomes: Sequence[Outcome], figures: Sequence[str] = ()
) -> list[Row]:
    """Returns one row per variant, in the order of `variants`.

    Args:
      variants: of the study.
      outcomes: of all runs.
      figures: names of further figures.

    Raises:
      UserError: a figure that no run has.
    """
    _check_figures(outcomes, figures)
    rows = []
    for variant in variants:
        of_variant = [outcome for outcome in outcomes if outcome.variant == variant.name]
        matching = sum(
            bool(outcome.peers_match) and all(outcome.peers_match) for outcome in of_variant
        )
        rows.append(
            Row(
                variant.name,
                _known({outcome.seed: outcome.value for outcome in of_variant}),
                sum(bool(outcome.failure) for outcome in of_variant),
                matching,
                {
                    name: _known({o.seed: o.figures.get(name) for o in of_variant})
                    for name in figures
                },
            )
        )
    return rows


def _known(values: Mapping[int, float | None]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if value is not None}


def _check_figures(outcomes: Sequence[Outcome], figures: Sequence[str]) -> None:
    known = sorted({name for outcome in outcomes for name in outcome.figures})
    for name in figures:
        if known and name not in known:
            raise UserError(
                f"--figures must name figures of evaluation. Received: {name!r}. {nearest(name, known)}"
            )


def to_markdown(rows: Sequence[Row], metric: str, expected: Sequence[ExpectedPeers]) -> str:
    """Returns the table: mean, standard deviation, least and greatest over seeds.

    Of several variants each one's difference from the first stands beside it: the mean over the seeds that both have,
    and its standard error. Further figures have mean, deviation and difference.
    """
    first, names = rows[0], list(rows[0].others)
    difference = [f"less {first.variant}"] if len(rows) > 1 else []
    heads = ["variant", "seeds", f"{metric}, mean", "deviation", "least", "greatest", *difference]
    heads += [head for name in names for head in (f"{name}, mean ± deviation", *difference)]
    heads += ["runs with expected peers"] if expected else []
    heads += ["failed"] if any(row.failed for row in rows) else []
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        values = list(row.values.values())
        cells = [row.variant, str(len(values)), _shown(_mean(values)), _shown(_deviation(values))]
        cells += [_shown(min(values, default=None)), _shown(max(values, default=None))]
        cells += [_difference(row.values, first.values)] if difference else []
        for name in names:
            cells.append(_mean_and_deviation(list(row.others[name].values())))
            cells += [_difference(row.others[name], first.others[name])] if difference else []
        cells += [f"{row.runs_that_match} of {len(values)}"] if expected else []
        cells += [str(row.failed)] if "failed" in heads else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    """Returns the sample standard deviation; None of less than two."""
    return statistics.stdev(values) if len(values) > 1 else None


def _mean_and_deviation(values: Sequence[float]) -> str:
    if len(values) < 2:
        return _shown(_mean(values))
    return f"{_mean(values):.4f} ± {_deviation(values):.4f}"


def _difference(values: Mapping[int, float], first: Mapping[int, float]) -> str:
    """Returns the mean difference over common seeds with its standard error; nothing for the first itself."""
    pairs = [values[seed] - first[seed] for seed in values if seed in first]
    if values is first or not pairs:
        return ""
    if len(pairs) == 1:
        return f"{pairs[0]:+.4f}"
    return f"{_mean(pairs):+.4f} ± {_deviation(pairs) / len(pairs) ** 0.5:.4f}"


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
        values = list(row.values.values())
        axes.plot(values, [place] * len(values), "o", color=palette.FIRST, alpha=0.55)
        if values:
            axes.plot(
                [_mean(values)] * 2, [place - 0.3, place + 0.3], color=palette.SECOND, linewidth=2
            )
    axes.set_yticks(range(len(rows)), [row.variant for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"{metric} at the end of training (dots: seeds; line: their mean)")
    axes.grid(axis="x", alpha=0.3)
    save_png(figure, path)
