"""A sheet that shows an Explanation: a PNG, and a page with the numbers."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from official_vision import files
from official_vision.data.prepare.preview import flow_colours, object_colours
from official_vision.presentation import pages
from official_vision.presentation.palette import FIRST, SECOND, THIRD
from official_vision.presentation.pictures import save_png
from official_vision.serving.explain.explanation import Explanation
from official_vision.serving.explain.gate_openings import GateValues
from official_vision.serving.explain.gate_picture import GATES_ROW, draw_gate_row, gate_rows

_FRAMES = 8
_WIDTH = 14.0  # inches, as all lengths here
_FRAME_ROW = _WIDTH / _FRAMES + 0.15
_BARS_ROW = 2.4
_FONT = 8
# Of a stream; above 0 where the stream supports the class.
WORTH = "worth of each stream: score with it less score with it blanked"


def pictures_of(
    features: Mapping[str, np.ndarray], kinds: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """Returns each kind of stem's frames in colours, uint8 rgb [height, width, 3].

    Args:
      features: a clip's streams, without a batch axis.
      kinds: rgb, flow, object; flow that the model computes is shown on the rgb that it is made of.
    """
    shown = {}
    for kind in kinds:
        stream = {"object": "objects"}.get(kind, kind)
        if stream not in features:
            shown[kind] = list(features["rgb"])
        elif kind == "flow":
            fastest = max(float(np.hypot(*np.moveaxis(features["flow"], -1, 0)).max()), 1.0)
            shown[kind] = [flow_colours(frame, fastest) for frame in features["flow"]]
        elif kind == "object":
            shown[kind] = [object_colours(frame) for frame in features["objects"]]
        else:
            shown[kind] = list(features["rgb"])
    return shown


def write_sheet(
    path: str | os.PathLike,
    title: str,
    explanation: Explanation,
    labels: Sequence[str],
    pictures: Mapping[str, Sequence[np.ndarray]],
) -> None:
    """Writes `path` (PNG), and beside it an HTML page with the picture and the numbers.

    Args:
      path: ends in .png.
      title: what clip of which network.
      explanation: of the clip.
      labels: class names.
      pictures: of `pictures_of`.
    """
    path = Path(path)
    figure = make_figure(title, explanation, labels, pictures)
    save_png(figure, path)
    page = to_html(title, explanation, labels, path.read_bytes())
    files.write_text(path.with_suffix(".html"), page)


def make_figure(
    title: str,
    explanation: Explanation,
    labels: Sequence[str],
    pictures: Mapping[str, Sequence[np.ndarray]],
) -> Figure:
    """Returns the figure that `write_sheet` saves: a row of frames per stream, bars, and gates over time."""
    gates = gate_rows(explanation.gates)
    heights = [_FRAME_ROW] * len(explanation.maps) + [_BARS_ROW] + [GATES_ROW] * len(gates)
    figure = Figure(figsize=(_WIDTH, sum(heights) + 0.6), layout="constrained")
    label, score = labels[explanation.label_index], explanation.scores[explanation.label_index]
    figure.suptitle(f"{title}\n{label}: {score:.3f}", fontsize=11, parse_math=False)
    rows = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for row, kind in zip(rows, explanation.maps, strict=False):
        _draw_map(row, kind, explanation, pictures[kind])
    _draw_bars(rows[len(explanation.maps)], explanation, labels)
    for row, gate in zip(rows[len(explanation.maps) + 1 :], gates, strict=True):
        draw_gate_row(row, gate, explanation.node_names)
    return figure


def _draw_map(
    row: Figure, kind: str, explanation: Explanation, pictures: Sequence[np.ndarray]
) -> None:
    explained = explanation.maps[kind]
    others = [stream for stream in explained.streams if stream != kind]
    reached = f", also reached by {' and '.join(others)}" if others else ", this stream's alone"
    row.suptitle(
        f"{kind}: Grad-CAM at node {explanation.node_names[explained.node]}{reached}",
        fontsize=_FONT,
        x=0.01,
        ha="left",
    )
    shown = np.unique(np.linspace(0, len(pictures) - 1, min(_FRAMES, len(pictures))).astype(int))
    greatest = max(float(explained.values.max()), 1e-12)
    axes = row.subplots(1, _FRAMES, squeeze=False)[0]
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    for axis, time in zip(axes, shown, strict=False):
        # An edge: still flow is white, as the page is.
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color("lightgrey")
        height, width = pictures[time].shape[:2]
        heat = cv2.resize(explained.values[time] / greatest, (width, height))
        axis.imshow(pictures[time])
        axis.imshow(heat, cmap="inferno", alpha=0.65 * np.clip(heat, 0, 1), vmin=0, vmax=1)
        axis.set_title(f"frame {time}", fontsize=_FONT - 1, pad=2)


def _draw_bars(row: Figure, explanation: Explanation, labels: Sequence[str]) -> None:
    streams, classes, times = row.subplots(1, 3)
    names = list(explanation.drops)
    drops = [explanation.drops[name] for name in names]
    streams.barh(names, drops, color=[FIRST if drop >= 0 else SECOND for drop in drops])
    streams.axvline(0, color="black", linewidth=0.6)
    streams.set_title(WORTH, fontsize=_FONT)
    streams.xaxis.set_major_formatter(lambda value, _: f"{value:+.3g}" if value else "0")
    top = np.argsort(-explanation.scores, kind="stable")[:5][::-1]
    classes.barh(range(len(top)), explanation.scores[top], color=THIRD)
    shortened = [labels[i] if len(labels[i]) <= 24 else labels[i][:23] + "…" for i in top]
    classes.set_yticks(range(len(top)), shortened, parse_math=False)
    classes.set(xlim=(0, 1))
    classes.set_title("scores of the clip", fontsize=_FONT)
    times.plot(explanation.frame_scores[:, explanation.label_index], marker=".", color=FIRST)
    times.set(ylim=(0, 1.02), xlabel="frame")
    times.xaxis.set_major_locator(MaxNLocator(integer=True))
    times.set_title("score of each frame", fontsize=_FONT)
    for axis in (streams, classes, times):
        axis.tick_params(labelsize=_FONT)


def to_html(title: str, explanation: Explanation, labels: Sequence[str], picture: bytes) -> str:
    """Returns a page that needs no other file: the PNG `picture`, streams, and every gate."""
    drops = [(name, f"{drop:+.4f}") for name, drop in explanation.drops.items()]
    gates = [_gate_row(gate, explanation.node_names) for gate in explanation.gates]
    heads = ("connection", "strength", "opened by", "least", "mean", "greatest")
    label = html.escape(labels[explanation.label_index])
    encoded = base64.b64encode(picture).decode("ascii")
    body = (
        f'<main>\n<img alt="sheet" src="data:image/png;base64,{encoded}">\n'
        f"<h2>{WORTH.capitalize()}</h2>\n{pages.table(('stream', 'worth'), drops)}\n"
        f"<h2>Gates</h2>\n{pages.table(heads, gates)}\n</main>"
    )
    score = f"<p>{label}: {explanation.scores[explanation.label_index]:.4f}</p>"
    return pages.page_of(title, body, header=score)


def _gate_row(gate: GateValues, names: Sequence[str]) -> tuple[str, ...]:
    peers = ", ".join(f"{names[node]} {share:.0%}" for node, share in gate.peers) or "static"
    values = gate.values
    return (
        f"{names[gate.source]} to {names[gate.target]}",
        f"{gate.strength:.3f}",
        peers,
        f"{values.min():.3f}",
        f"{values.mean():.3f}",
        f"{values.max():.3f}",
    )
