"""A picture of how far a network's gates open over time."""

from __future__ import annotations

import os
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from official_vision.presentation.pictures import save_png
from official_vision.serving.explain.gate_openings import GateValues

GATES_ROW = 2.2  # inches, as all lengths here
_WIDTH = 14.0
_GATES = 9  # those whose channels differ most over time and channels
_COLUMNS = 3
_PEERS = 3
_FONT = 8


def write_gates(
    path: str | os.PathLike, title: str, gates: Sequence[GateValues], names: Sequence[str]
) -> None:
    """Draws the gates that differ most over time and channels.

    Args:
      path: PNG to write.
      title: what clip of which network.
      gates: of the clip, at least one.
      names: of the network's nodes.
    """
    rows = gate_rows(gates)
    figure = Figure(figsize=(_WIDTH, GATES_ROW * len(rows) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    drawn = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for row, gate in zip(drawn, rows, strict=True):
        draw_gate_row(row, gate, names)
    save_png(figure, path)


def gate_rows(gates: Sequence[GateValues]) -> list[list[GateValues]]:
    """Returns the gates that are drawn, those that differ most, in the network's order, row by row."""
    order = sorted(range(len(gates)), key=lambda number: -float(gates[number].values.std()))
    shown = [gates[number] for number in sorted(order[:_GATES])]
    return [shown[start : start + _COLUMNS] for start in range(0, len(shown), _COLUMNS)]


def draw_gate_row(row: Figure, gates: Sequence[GateValues], names: Sequence[str]) -> None:
    """Draws a row of `gate_rows`: channels over time, from 0 (shut) to 1 (open)."""
    axes = row.subplots(1, _COLUMNS, squeeze=False)[0]
    for axis in axes[len(gates) :]:
        axis.set_axis_off()
    for axis, gate in zip(axes, gates, strict=False):
        # One scale for all gates, clips and networks: panels can be compared.
        mesh = axis.imshow(
            gate.values.T,
            aspect="auto",
            interpolation="nearest",
            cmap="viridis",
            origin="lower",
            vmin=0,
            vmax=1,
        )
        axis.set_title(describe_gate(gate, names), fontsize=_FONT)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlabel("frame", fontsize=_FONT)
        axis.set_ylabel("channel", fontsize=_FONT)
        axis.tick_params(labelsize=_FONT - 1)
        row.colorbar(mesh, ax=axis).ax.tick_params(labelsize=_FONT - 1)


def describe_gate(gate: GateValues, names: Sequence[str]) -> str:
    """Returns one line: the connection, its strength, and the peers that open it."""
    peers = ", ".join(f"{names[node]} {share:.0%}" for node, share in gate.peers[:_PEERS])
    opened = f"opened by {peers}" if peers else "static"
    more = len(gate.peers) - _PEERS
    others = f" and {more} more" if more > 0 else ""
    return f"{names[gate.source]} -> {names[gate.target]}, strength {gate.strength:.2f}\n{opened}{others}"
