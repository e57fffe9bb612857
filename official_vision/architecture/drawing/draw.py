"""A network as a picture, in the manner of Figure 4 of AssembleNet++ (arXiv 2008.08072)."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.architecture.cost.network_cost import fed_by
from official_vision.architecture.drawing.layout import Layout, Wire, lay_out, ports, route
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.errors import UserError
from official_vision.presentation.palette import INK, STREAMS

_WIDTH_INCHES = 9.0
_INCHES_A_UNIT = 0.5
_TALLEST_INCHES = 60.0
_BOX_WIDTH = 0.46  # of the distance between two columns
_HEADER, _FOOTER = 1.5, 0.9  # units above and below the graph
# A letter's mean width by its font size.
_REGULAR_WIDTH, _BOLD_WIDTH = 0.52, 0.62
_DASHES = (0, (2.2, 1.6))
_OUTPUT_FRAME = 2.8  # points


def draw(
    architecture: Architecture,
    path: str | os.PathLike,
    strengths: Mapping[int, Sequence[float]] | None = None,
    peers: Mapping[int, Sequence[int]] | None = None,
) -> None:
    """Draws levels as columns and streams as colours; the same input gives the same file.

    A connection is as wide as it is strong; a dashed line leads from a peer to the connection that it
    gates. Nodes that reach the classifier only as peers have a dashed frame; of several blocks that feed
    the classifier, each has a thick one.

    Args:
      architecture: the network.
      path: .svg or .png.
      strengths: of each block's inputs, in (0, 1); blocks without an entry take the graph's.
      peers: of each block, the peer of each input; blocks without an entry take the graph's.

    Raises:
      UserError: another suffix.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".svg", ".png"):
        raise UserError(f"A drawing is an .svg or .png file. Received: {path}. Change its suffix.")
    # Imported here: the rest of the package should not wait for a plotting library.
    import matplotlib

    # Text as outlines looks the same everywhere; the salt and the missing date make files repeatable.
    settings = {"svg.hashsalt": "official_vision", "svg.fonttype": "path", "font.size": 8.5}
    with matplotlib.rc_context(settings):
        figure = _Picture(architecture, strengths or {}, peers or {}).figure
        metadata = {"Date": None} if suffix == ".svg" else {"Software": None}
        with files.written_aside(path) as partial:
            figure.savefig(partial, dpi=200, metadata=metadata, facecolor="white")


class _Picture:
    """One drawing; x counts columns, y the layout's units downwards."""

    def __init__(
        self,
        architecture: Architecture,
        strengths: Mapping[int, Sequence[float]],
        peers: Mapping[int, Sequence[int]],
    ):
        from matplotlib.figure import Figure

        self._graph = architecture
        self._fed = fed_by(architecture)
        self._feeding = architecture.live_nodes(gated_by_peers=False)
        # One alone is the block on the right and needs no mark.
        self._marked = architecture.outputs if len(architecture.outputs) > 1 else ()
        blocks = {i: n for i, n in enumerate(architecture.nodes) if isinstance(n, Block)}
        self._strengths = {i: strengths.get(i, n.strengths) for i, n in blocks.items()}
        named = {i: peers.get(i, n.peers) for i, n in blocks.items()}
        self._peers = {i: chosen for i, chosen in named.items() if chosen is not None}
        self._layout: Layout = lay_out(architecture, self._peers)
        height = self._layout.height + _HEADER + _FOOTER
        size = (_WIDTH_INCHES, min(height * _INCHES_A_UNIT, _TALLEST_INCHES))
        self.figure = Figure(figsize=size)
        self._axes: Any = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set_xlim(-0.62 * _BOX_WIDTH, len(self._layout.columns) - 1 + 0.62 * _BOX_WIDTH)
        self._axes.set_ylim(self._layout.height + _FOOTER, -_HEADER)
        self._draw_titles()
        entries = {index: ports(architecture, self._layout, index, _BOX_WIDTH) for index in blocks}
        for index in blocks:
            self._draw_connections(index, entries[index])
        for index in self._peers:
            self._draw_gates(index, entries[index])
        for index in range(len(architecture.nodes)):
            self._draw_node(index)
        self._draw_legend()

    def _draw_titles(self) -> None:
        graph, middle = self._graph, (len(self._layout.columns) - 1) / 2
        is_named = all(graph.nodes[index].peers is not None for index in self._peers)
        gates = "discrete peer attention" if is_named else "likeliest peers"
        gates = gates if self._peers else ""
        title = ", ".join(filter(None, (graph.name, f"depth {graph.depth}", gates)))
        size = min(11.0, 72 * _WIDTH_INCHES / (_BOLD_WIDTH * len(title)))
        self._write(middle, -1.1, title, fontsize=size, fontweight="bold")
        for column, level in enumerate(self._layout.columns):
            self._write(column, -0.35, f"level {level}" if level else "streams", fontsize=9)

    def _write(self, x: float, y: float, text: str, **style: Any) -> None:
        settings = {"ha": "center", "va": "center", "color": INK, "parse_math": False, **style}
        self._axes.text(x, y, text, **settings)

    def _colour(self, index: int) -> tuple[float, ...]:
        """Returns the mean of the colours of the streams that feed a node."""
        from matplotlib.colors import to_rgb

        colours = [to_rgb(STREAMS[stream]) for stream in self._fed[index]]
        return tuple(sum(channel) / len(colours) for channel in zip(*colours, strict=True))

    def _draw_connections(self, index: int, entries: Sequence[tuple[float, float]]) -> None:
        strengths = self._strengths[index]
        for position, source in enumerate(self._graph.nodes[index].inputs):
            strength = 0.4 if strengths is None else float(strengths[position])
            points = [
                *route(self._layout, Wire(source, False), index, _BOX_WIDTH),
                entries[position],
            ]
            style = {"linewidth": 0.5 + 2.6 * strength, "alpha": 0.3 + 0.6 * strength}
            self._draw_curve(points, edgecolor=self._colour(source), **style)

    def _draw_gates(self, index: int, entries: Sequence[tuple[float, float]]) -> None:
        for peer, (x, y) in zip(self._peers[index], entries, strict=True):
            gate = (x - 0.035, y)
            points = [*route(self._layout, Wire(peer, True), index, _BOX_WIDTH), gate]
            colour = self._colour(peer)
            self._draw_curve(points, edgecolor=colour, linewidth=0.8, linestyle=_DASHES, alpha=0.85)
            self._axes.plot(*gate, "o", markersize=2.6, color=colour, markeredgewidth=0)

    def _draw_curve(self, points: Sequence[tuple[float, float]], **style: Any) -> None:
        """Draws a curve whose tangent is horizontal at every point: flat through lanes, an S between them."""
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Outline

        vertices, codes = [points[0]], [Outline.MOVETO]
        for (x0, y0), (x1, y1) in itertools.pairwise(points):
            middle = (x0 + x1) / 2
            vertices += [(middle, y0), (middle, y1), (x1, y1)]
            codes += [Outline.CURVE4] * 3
        curve = PathPatch(Outline(vertices, codes), facecolor="none", capstyle="butt", **style)
        self._axes.add_patch(curve)

    def _draw_node(self, index: int) -> None:
        from matplotlib.patches import Rectangle

        layout, node = self._layout, self._graph.nodes[index]
        x, y, colour = layout.column_of[index], layout.centre[index], self._colour(index)
        height = layout.height_of[index]
        is_idle = index not in self._feeding
        self._axes.add_patch(
            Rectangle(
                (x - _BOX_WIDTH / 2, y - height / 2),
                _BOX_WIDTH,
                height,
                facecolor=tuple(0.85 + 0.15 * channel for channel in colour),
                edgecolor=colour,
                linewidth=_OUTPUT_FRAME if index in self._marked else 1.3,
                linestyle="--" if is_idle else "-",
                zorder=3,
            )
        )
        heading, detail = node_labels(index, node)
        lift = 0.17 if detail else 0
        size = self._fitting(heading, 8.5, _BOLD_WIDTH)
        self._write(x, y - lift, heading, fontsize=size, fontweight="bold", zorder=4)
        size = self._fitting(detail, 7, _REGULAR_WIDTH)
        self._write(x, y + 0.2, detail, fontsize=size, zorder=4)

    def _fitting(self, text: str, largest: float, letter_width: float) -> float:
        """Returns the font size in points at which a text is no wider than a box."""
        box_points = 72 * _WIDTH_INCHES * _BOX_WIDTH / len(self._layout.columns)
        return min(largest, box_points / (letter_width * max(len(text), 1)))

    def _draw_legend(self) -> None:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        colours = [STREAMS[stream] for stream in self._graph.streams]
        lines = [Line2D([], [], color=colour, linewidth=2.5) for colour in colours]
        names = list(self._graph.streams)
        if any(strengths is not None for strengths in self._strengths.values()):
            names += ["weak", "strong"]
            lines += [Line2D([], [], color=INK, linewidth=0.5 + 2.6 * s) for s in (0.1, 0.9)]
        if self._peers:
            names.append("peer gates per connection")
            lines.append(
                Line2D(
                    [], [], color=INK, linewidth=0.8, linestyle=_DASHES, marker="o", markersize=2.6
                )
            )
        if len(self._feeding) < len(self._graph.nodes):
            names.append("only a peer")
            lines.append(Patch(facecolor="white", edgecolor=INK, linestyle="--"))
        if self._marked:
            names.append("feeds the classifier")
            lines.append(Patch(facecolor="white", edgecolor=INK, linewidth=_OUTPUT_FRAME))
        self._axes.legend(
            lines, names, loc="lower center", ncols=len(names), frameon=False, fontsize=8
        )


def node_labels(index: int, node: Stem | Block) -> tuple[str, str]:
    """Returns the text of a node's box: number and kind, and what is special, two spaces between details."""
    if isinstance(node, Stem):
        kind = {"rgb": "RGB", "flow": "flow", "object": "objects"}[node.kind]
        has_dilation = node.kind == "rgb" and node.temporal_dilation > 1
        return f"{index}  {kind}", f"dilation {node.temporal_dilation}" if has_dilation else ""
    channels = (
        node.channels if isinstance(node.channels, int) else "-".join(map(str, node.channels))
    )
    details = [f"dilation {node.temporal_dilation}"] if node.temporal_dilation > 1 else []
    details += [f"stride {node.spatial_stride}"] if node.spatial_stride > 1 else []
    return f"{index}  C {channels}", "  ".join(details)
