"""The report of official-vision evaluate: figures, the table of classes, confusions (numpy only)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from official_vision.errors import UserError
from official_vision.metrics.bootstrap import Interval, Intervals
from official_vision.metrics.evaluation import ClassResult, Evaluation
from official_vision.metrics.figures import without_nan
from official_vision.metrics.localisation.result import Localisation

_MATRIX_CLASSES = 12  # of a confusion matrix that still fits a terminal
_CONFUSIONS = 10  # pairs listed where the matrix does not fit


@dataclasses.dataclass(frozen=True)
class Report:
    """An evaluation with its intervals and its origin.

    Attributes:
      heading: what was evaluated, a line.
      source: the same as JSON values.
      evaluation: figures and classes.
      intervals: bootstrap intervals of the figures; None without resamples.
      without: the evaluation with a stream blanked, by its name.
      localisation: when classes are there; None without --localise.
    """

    heading: str
    source: Mapping[str, Any]
    evaluation: Evaluation
    intervals: Intervals | None = None
    without: Mapping[str, Evaluation] = dataclasses.field(default_factory=dict)
    localisation: Localisation | None = None


@dataclasses.dataclass(frozen=True)
class ClassChoice:
    """The choice of rows of the printed table: of the classes that have a positive, sorted by AP.

    Attributes:
      order: best or worst first.
      count: rows; None for all, classes without a positive among them.
    """

    order: str = "best"
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> ClassChoice:
        """Reads all, none, best:N or worst:N.

        Raises:
          UserError: it is none of them.
        """
        if text in ("all", "none"):
            return cls(count=None if text == "all" else 0)
        if match := re.fullmatch(r"(best|worst):(\d+)", text):
            return cls(match[1], int(match[2]))
        raise UserError(
            f"--classes must be all, none, best:N or worst:N. Received: {text!r}. Write e.g. --classes=worst:20."
        )

    def rows(self, classes: Sequence[ClassResult]) -> list[tuple[int, ClassResult]]:
        """Returns the chosen classes with their place in the data's order."""
        sign = 1 if self.order == "worst" else -1
        known = [pair for pair in enumerate(classes) if pair[1].positives]
        known.sort(key=lambda pair: sign * pair[1].average_precision)
        if self.count is not None:
            return known[: self.count]
        return known + [pair for pair in enumerate(classes) if not pair[1].positives]


def to_dict(report: Report) -> dict[str, Any]:
    """Returns the report as JSON values; NaN, of classes without a positive, as None."""
    values = {**report.source, **_evaluation_to_dict(report.evaluation)}
    if report.intervals:
        values["intervals"] = {
            "confidence": report.intervals.confidence,
            "resamples": report.intervals.resamples,
            **{name: _known(pair) for name, pair in report.intervals.figures.items()},
        }
        for row, pair in zip(values["classes"], report.intervals.classes, strict=True):
            row["interval"] = _known(pair)
    values["without"] = {
        stream: _evaluation_to_dict(evaluation) for stream, evaluation in report.without.items()
    }
    if report.localisation:
        values["localisation"] = report.localisation.to_dict()
    return values


def _evaluation_to_dict(evaluation: Evaluation) -> dict[str, Any]:
    rows = [dataclasses.asdict(row) for row in evaluation.classes]
    values = {
        "videos": evaluation.videos,
        **without_nan(evaluation.figures),
        "classes": [
            without_nan({name: value for name, value in row.items() if value is not None})
            for row in rows
        ],
    }
    if evaluation.bands:
        values["bands"] = [dataclasses.asdict(band) for band in evaluation.bands]
    if evaluation.confusion is not None:
        values["confusion"] = evaluation.confusion.tolist()
    return values


def _known(interval: Interval) -> list[float] | None:
    return list(interval) if np.isfinite(interval).all() else None


def to_text(report: Report, choice: ClassChoice | None = None) -> str:
    """Returns the text that the command prints.

    Args:
      report: everything.
      choice: the table's rows; None for all.
    """
    choice = choice or ClassChoice()
    evaluation = report.evaluation
    lines = [f"{report.heading}, {evaluation.videos} videos", ""]
    lines += _table(report, choice.rows(evaluation.classes))
    lines += _confusions(evaluation)
    lines += _bands(evaluation)
    lines += _figures(report)
    if report.without:
        full = evaluation.figures["mAP"]
        worth = "   ".join(
            f"{stream} {full - other.figures['mAP']:+.4f}"
            for stream, other in report.without.items()
        )
        lines.append(f"worth of each stream (mAP with it less mAP with it blanked):   {worth}")
    if report.localisation:
        lines += report.localisation.lines()
    return "\n".join(lines)


def _bands(evaluation: Evaluation) -> list[str]:
    """Returns a line for each band of classes."""
    lines = [
        f"{band.name}: {len(band.classes)} classes, of {band.fewest} to {band.most} training videos each"
        for band in evaluation.bands
    ]
    return [*lines, ""] if lines else []


def _figures(report: Report) -> list[str]:
    figures, intervals = report.evaluation.figures, report.intervals
    if not intervals:
        shown = (f"{_spoken(name)} {value:.4f}" for name, value in figures.items())
        return ["   ".join(shown)]
    width = max(len(_spoken(name)) for name in figures)
    lines = [f"{'':{width}}          {100 * intervals.confidence:.4g} % interval over videos"]
    for name, value in figures.items():
        low, high = intervals.figures[name]
        lines.append(f"{_spoken(name):{width}}  {value:.4f}  {low:.4f} to {high:.4f}")
    return lines


def _spoken(name: str) -> str:
    return {"top_1": "top-1", "top_5": "top-5"}.get(name, name.replace("_", " "))


def _table(report: Report, rows: Sequence[tuple[int, ClassResult]]) -> list[str]:
    if not rows:
        return []
    width = max(5, *(len(row.name) for _, row in rows))
    accurate = rows[0][1].accuracy is not None
    head = f"{'class':<{width}}      AP"
    head += "        interval" if report.intervals else ""
    head += "  accuracy" if accurate else ""
    lines = [f"{head}  base rate  positives"]
    for place, row in rows:
        line = f"{row.name:<{width}}  {row.average_precision:6.3f}"
        if report.intervals:
            low, high = report.intervals.classes[place]
            line += f"  {low:5.3f} to {high:5.3f}" if row.positives else 16 * " "
        line += f"  {row.accuracy:8.3f}" if accurate else ""
        lines.append(f"{line}  {row.base_rate:9.3f}  {row.positives:9d}")
    return [*lines, ""]


def _confusions(evaluation: Evaluation) -> list[str]:
    """Returns the matrix where it fits a terminal, else the commonest mistakes; nothing for several labels."""
    counts = evaluation.confusion
    if counts is None:
        return []
    names = [row.name for row in evaluation.classes]
    if len(names) <= _MATRIX_CLASSES:
        width, digits = max(map(len, names)), max(3, len(str(counts.max())))
        rows = (
            f"{name:<{width}} {''.join(f' {count:{digits}d}' for count in row)}"
            for name, row in zip(names, counts, strict=True)
        )
        return ["confusion (rows: true class; columns: greatest score, same order)", *rows, ""]
    mistakes = np.where(np.eye(len(names), dtype=bool), 0, counts)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(place), len(names)) for place in order]
    lines = [
        f"{mistakes[true, taken]:6d}  {names[true]} taken for {names[taken]}"
        for true, taken in pairs
        if mistakes[true, taken]
    ]
    return ["commonest mistakes", *lines, ""] if lines else []
