"""Reports on every weight of a network and on every tensor of the other program's file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

LOADED = "loaded"  # the tensor's values, transposed or folded exactly
INFLATED = "inflated"  # made from a tensor of fewer dimensions or other channels
INITIAL = "initial"  # what a new network starts with
STATUSES = (LOADED, INFLATED, INITIAL)
_COLUMNS = ("node", "parameters", *STATUSES)


@dataclasses.dataclass(frozen=True)
class Weight:
    """The origin of a variable's values.

    Attributes:
      variable: name of the variable, e.g. node_05/module_0/first/kernel.
      node: the part of the network that it belongs to, e.g. node_05 or head.
      parameters: numbers in it.
      status: loaded, inflated or initial.
      source: names of the tensors that it was made of; empty for initial.
      reason: why it is initial, or how it was inflated; empty for loaded.
    """

    variable: str
    node: str
    parameters: int
    status: str
    source: tuple[str, ...] = ()
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A tensor of the file that no variable received.

    Attributes:
      name: of the tensor, as the file has it.
      shape: of the tensor.
      reason: in a few words.
    """

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclasses.dataclass(frozen=True)
class Coverage:
    """The report of a conversion.

    Attributes:
      weights: one entry per variable of the network.
      skipped: tensors of the file that were left out.
      notes: what a user must know besides, one line each.
    """

    weights: tuple[Weight, ...]
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()

    def parameters(self, status: str) -> int:
        """Returns the number of parameters with a status."""
        return _parameters(self.weights, status)

    def share(self, status: str) -> float:
        """Returns the fraction of the network's parameters that have a status, 0 to 1."""
        total = sum(weight.parameters for weight in self.weights)
        return self.parameters(status) / total if total else 0.0

    def lacks_statistics(self) -> bool:
        """Returns whether a batch norm has a new network's means and variances."""
        return any(
            "/moving_" in weight.variable and weight.status == INITIAL for weight in self.weights
        )

    def by_node(self) -> dict[str, dict[str, int]]:
        """Returns the parameters of each node by status, nodes in the network's order."""
        nodes = dict.fromkeys(weight.node for weight in self.weights)
        return {
            node: {
                status: _parameters((w for w in self.weights if w.node == node), status)
                for status in STATUSES
            }
            for node in nodes
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain JSON values."""
        return {
            "parameters": {status: self.parameters(status) for status in STATUSES},
            "share": {status: round(self.share(status), 6) for status in STATUSES},
            "nodes": self.by_node(),
            "weights": [dataclasses.asdict(weight) for weight in self.weights],
            "skipped": [dataclasses.asdict(skipped) for skipped in self.skipped],
            "notes": list(self.notes),
        }

    def to_text(self) -> str:
        """Returns a table with one line per node, then each reason with the tensors that it concerns."""
        rows = [
            (node, str(sum(counts.values())), *(_percent(counts, status) for status in STATUSES))
            for node, counts in self.by_node().items()
        ]
        totals = {status: self.parameters(status) for status in STATUSES}
        rows.append(
            ("total", str(sum(totals.values())), *(_percent(totals, status) for status in STATUSES))
        )
        lines = _table([_COLUMNS, *rows])
        lines += _by_reason(
            "initial", ((w.reason, w.variable) for w in self.weights if w.status == INITIAL)
        )
        lines += _by_reason("skipped", ((s.reason, s.name) for s in self.skipped))
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _parameters(weights: Iterable[Weight], status: str) -> int:
    return sum(weight.parameters for weight in weights if weight.status == status)


def _percent(counts: dict[str, int], status: str) -> str:
    total = sum(counts.values())
    return f"{100 * counts[status] / total:.1f} %" if total else "-"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if position == 0 else cell.rjust(width)
            for position, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _by_reason(what: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    """Yields one line per reason: how many there are and the first of their names."""
    names: dict[str, list[str]] = {}
    for reason, name in entries:
        names.setdefault(reason, []).append(name)
    return [
        f"{what}: {len(variables)} ({reason}): {', '.join(variables[:3])}{', ...' if len(variables) > 3 else ''}"
        for reason, variables in names.items()
    ]
