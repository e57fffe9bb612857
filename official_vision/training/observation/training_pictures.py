"""Pictures of a run for TensorBoard: samples of the network's input, and the search so far."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.drawing.draw import draw
from official_vision.data.input.pipeline import build_dataset
from official_vision.data.prepare.preview import flow_colours, object_colours
from official_vision.data.storage.index import Index
from official_vision.presentation.pictures import names_readable
from official_vision.specs import DataSpec

_SAMPLES = 4
_COLUMNS = 4
_CELL = 96  # pixels
_DPI = 100
_GRAPH_WIDTH = 1200
_MOST_LABELS = 4


@dataclasses.dataclass(frozen=True)
class Sample:
    """A clip of the network's input.

    Attributes:
      video: row of its video in the split.
      labels: its classes.
      streams: rgb [time, height, width, 3], flow [time, height, width, 2] in pixels, objects [time,
        height, width].
    """

    video: int
    labels: tuple[str, ...]
    streams: Mapping[str, np.ndarray]


def take_samples(
    spec: DataSpec, index: Index, streams: Sequence[str], *, training: bool
) -> tuple[Sample, ...]:
    """Reads a few clips through the input of training or evaluation.

    Args:
      spec: of the data.
      index: of the split.
      streams: that the network reads.
      training: clips are cropped and flipped as training does; else as evaluation.
    """
    few = dataclasses.replace(spec, batch_size=_SAMPLES)
    features, targets = next(iter(build_dataset(few, index, streams, training=training)))
    return tuple(
        Sample(
            int(targets["video"][row]),
            tuple(index.classes[c] for c in np.flatnonzero(targets["labels"][row].numpy() > 0)),
            {name: stream[row].numpy() for name, stream in features.items()},
        )
        for row in range(_SAMPLES)
        if targets["mask"][row] > 0
    )


def draw_samples(samples: Sequence[Sample], captions: Sequence[str]) -> np.ndarray:
    """Draws one row per sample, four frames of each stream, with a caption; uint8 rgb [height, width, 3]."""
    strips = [_strip(sample) for sample in samples]
    width = max(strip.shape[1] for strip in strips) / _DPI
    height = (_CELL + 22) / _DPI
    figure = Figure(figsize=(width, height * len(strips)), dpi=_DPI)
    for row, (strip, caption) in enumerate(zip(strips, captions, strict=True)):
        bottom = 1 - (row + 1) / len(strips)
        share = _CELL / (_CELL + 22) / len(strips)
        axes = figure.add_axes((0, bottom, strip.shape[1] / _DPI / width, share))
        axes.imshow(strip, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        text = axes.set_title(caption, fontsize=8, loc="left", pad=3, parse_math=False)
        text.set_x(0.004)
    return pixels_of(figure)


def caption_of(sample: Sample, index: Index, scores: Mapping[str, np.ndarray]) -> str:
    """Returns the video, its labels and, where `scores` has it by its id, its likeliest classes."""
    video = index.videos[sample.video]
    labels = ", ".join(sample.labels[:_MOST_LABELS]) or "no label"
    caption = f"{video}: {labels}"
    if video not in scores:
        return caption
    best = np.argsort(-scores[video], kind="stable")[: max(1, min(len(sample.labels), 3))]
    predicted = ", ".join(f"{index.classes[c]} {scores[video][c]:.2f}" for c in best)
    return f"{caption}  |  network: {predicted}"


def _strip(sample: Sample) -> np.ndarray:
    pictures = []
    for name, stream in sample.streams.items():
        for time in np.linspace(0, len(stream) - 1, _COLUMNS).astype(int):
            frame = _colours(stream[time], name)
            pictures.append(cv2.resize(frame, (_CELL, _CELL), interpolation=cv2.INTER_NEAREST))
        pictures.append(np.full((_CELL, 4, 3), 255, np.uint8))
    return np.concatenate(pictures[:-1], axis=1)


def _colours(frame: np.ndarray, stream: str) -> np.ndarray:
    if stream == "rgb":
        return frame.astype(np.uint8)
    if stream == "flow":
        return flow_colours(frame.astype(np.float32))
    return object_colours(frame.astype(np.uint8))


def draw_graph(learned: Learned) -> np.ndarray:
    """Draws the network with its current strengths and likeliest peers; uint8 rgb [height, width, 3]."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.png"
        draw(learned.architecture, path, learned.strengths, learned.likeliest_peers())
        picture = tf.io.decode_png(path.read_bytes(), channels=3).numpy()
    height = round(picture.shape[0] * _GRAPH_WIDTH / picture.shape[1])
    return cv2.resize(picture, (_GRAPH_WIDTH, height), interpolation=cv2.INTER_AREA)


def draw_peers(learned: Learned) -> np.ndarray:
    """Draws peer distributions as a table, one row per connection, one column per node; uint8 rgb.

    Each cell has the probability in per cent and as its shade; blank cells are no candidates.
    """
    choices = learned.choices()
    nodes = sorted({node for choice in choices.values() for node in choice.candidates})
    table = np.full((len(choices), len(nodes)), np.nan)
    for row, choice in enumerate(choices.values()):
        table[row, [nodes.index(node) for node in choice.candidates]] = choice.distribution
    size = (1.4 + 0.36 * len(nodes), 0.7 + 0.19 * len(choices))
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(nodes)), [str(node) for node in nodes], fontsize=7)
    names = [f"{source} to {node}" for source, node in choices]
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.xaxis.tick_top()
    axes.set_title("chance of each peer, %", fontsize=8)
    for row, column in np.argwhere(np.isfinite(table)):
        value = table[row, column]
        colour = "white" if value > 0.6 else "black"
        style = {"ha": "center", "va": "center", "fontsize": 6, "color": colour}
        axes.text(column, row, f"{100 * value:.0f}", **style)
    return pixels_of(figure)


def pixels_of(figure: Figure) -> np.ndarray:
    """Renders a figure; uint8 rgb [height, width, 3]."""
    canvas = FigureCanvasAgg(figure)
    with names_readable(figure):
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
