"""A sheet of samples: frames, flow in colours, objects in colours, and labels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from official_vision.data.storage.index import Index
from official_vision.data.storage.segments import segments_of
from official_vision.data.storage.shard import decode_frame
from official_vision.presentation.pictures import names_readable, save_png

_SAMPLES = 6
_COLUMNS = 4
_HEIGHT = 128
_WIDTH_INCHES, _TITLE_INCHES, _LEGEND_INCHES = 14, 0.36, 0.5
_COLUMN_TITLE_POINTS = 12  # below a row's title
_MOST_KEYS = 20
_PALETTE = matplotlib.colormaps["tab20"]


def draw_preview(output: str | os.PathLike, split: str, path: str | os.PathLike) -> None:
    """Draws samples spread over a split: one row per video, four frames of every stream, the objects' colours.

    Each stream's frames are below its name and their times.

    Args:
      output: folder of the splits.
      split: which one.
      path: PNG to write.
    """
    folder = Path(output) / split
    index = Index.read(folder)
    segments = segments_of(folder, index)
    wanted = np.unique(np.linspace(0, index.num_videos - 1, _SAMPLES).astype(int))
    titles, samples, times = [], [], []
    for position in wanted:
        numbers = np.linspace(0, segments.frames[position] - 1, _COLUMNS).astype(np.int32)
        frames = [
            segments.window(tf.constant(position), tf.constant(number), 1, index.streams)
            for number in numbers
        ]
        labels = ", ".join(index.classes[i] for i in frames[0]["label_index"].numpy())
        titles.append(f"{frames[0]['id'].numpy().decode()}: {labels}")
        samples.append(_decoded(frames, index.streams))
        times.append([float(frame["times"][0]) for frame in frames])
    strips = [_strip(sample) for sample in samples]
    heights = [_WIDTH_INCHES * strip.shape[0] / strip.shape[1] + _TITLE_INCHES for strip in strips]
    height = sum(heights) + _LEGEND_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    axes = figure.subplots(len(strips), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis, title, strip, sample_times in zip(axes[:, 0], titles, strips, times, strict=True):
        axis.imshow(strip)
        # An edge: still flow is white, as the page is.
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color("lightgrey")
        axis.set_title(title, fontsize=8, loc="left", pad=_COLUMN_TITLE_POINTS, parse_math=False)
        _title_columns(axis, index.streams, sample_times)
    if keys := _legend(samples, index):
        legend = figure.legend(handles=keys, loc="lower left", ncols=10, fontsize=8, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)
    with names_readable(figure):
        figure.tight_layout(pad=0.3, rect=(0, _LEGEND_INCHES / height, 1, 1))
    save_png(figure, path)


def _decoded(
    frames: Sequence[dict[str, tf.Tensor]], streams: Sequence[str]
) -> dict[str, list[np.ndarray]]:
    """Returns every stream, decoded, of records of one frame each."""
    return {
        stream: [
            decode_frame(frame[stream][0], stream, frame["flow_bound"]).numpy() for frame in frames
        ]
        for stream in streams
    }


def _title_columns(axis: Axes, streams: Sequence[str], times_sec: Sequence[float]) -> None:
    """Writes each column's stream and time above a strip, whose columns are equally wide."""
    count = len(streams) * len(times_sec)
    for place in range(count):
        stream, time_sec = streams[place // len(times_sec)], times_sec[place % len(times_sec)]
        axis.annotate(
            f"{stream}, {time_sec:.1f} s",
            (place / count, 1),
            xytext=(1, 2),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=7,
            color="dimgrey",
        )


def _legend(samples: Sequence[dict[str, list[np.ndarray]]], index: Index) -> list[Patch]:
    """Returns one legend entry per object id that is shown, the commonest first, on two lines at most."""
    shown = [ids.ravel() for sample in samples for ids in sample.get("objects", ())]
    if not shown:
        return []
    counts = np.bincount(np.concatenate(shown), minlength=256)
    names = dict(enumerate(index.object_classes))
    colours = object_colours(np.arange(256, dtype=np.uint8)[np.newaxis])[0] / 255
    order = [int(number) for number in np.argsort(-counts, kind="stable") if counts[number]]
    return [
        Patch(facecolor=colours[number], edgecolor="grey", label=names.get(number, f"id {number}"))
        for number in order[:_MOST_KEYS]
    ]


def _strip(sample: dict[str, list[np.ndarray]]) -> np.ndarray:
    """Returns a sample's frames of every stream side by side, each _HEIGHT pixels high."""
    pictures = []
    for stream, frames in sample.items():
        for pixels in frames:
            colours = _as_colours(pixels, stream)
            width = round(colours.shape[1] * _HEIGHT / colours.shape[0])
            pictures.append(cv2.resize(colours, (width, _HEIGHT), interpolation=cv2.INTER_NEAREST))
    return np.concatenate(pictures, axis=1)


def _as_colours(pixels: np.ndarray, stream: str) -> np.ndarray:
    if stream == "rgb":
        return pixels
    return flow_colours(pixels) if stream == "flow" else object_colours(pixels[..., 0])


def flow_colours(flow: np.ndarray, full_scale: float | None = None) -> np.ndarray:
    """Draws flow as colours: hue is the direction, saturation the speed; still is white.

    Args:
      flow: float [height, width, 2] in pixels.
      full_scale: speed of full saturation in pixels; None takes the fastest pixel, at least one.

    Returns:
      uint8 rgb [height, width, 3].
    """
    speed, angle = cv2.cartToPolar(flow[..., 0], flow[..., 1], angleInDegrees=True)
    scale = full_scale or max(float(speed.max()), 1.0)
    hsv = np.stack([angle / 2, np.clip(speed / scale, 0, 1) * 255, np.full_like(speed, 255)], -1)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


def object_colours(ids: np.ndarray) -> np.ndarray:
    """Draws object ids as colours, 0 as black; uint8 [height, width] becomes uint8 rgb [height, width, 3]."""
    colours = (_PALETTE(np.arange(256) % 20)[:, :3] * 255).astype(np.uint8)
    colours[0] = 0
    return colours[ids]
