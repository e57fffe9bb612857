"""A picture of a whole video's scores: sample frames above, one row per class below, on one time axis."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from official_vision.presentation.pictures import names_readable, save_png

_MOST_CLASSES = 12
# More columns than pixels would hide short peaks at random.
_MOST_COLUMNS = 1500
_LONGEST_LABEL = 36
_LONGEST_TITLE = 110
_WIDTH = 10.0  # of the figure, in inches, as all lengths here
_ROW_HEIGHT = 0.28
_FONT = 8


def draw_timeline(
    path: str | os.PathLike,
    title: str,
    scores: np.ndarray,
    times_sec: np.ndarray,
    labels: Sequence[str],
    samples: Sequence[tuple[float, np.ndarray]],
) -> None:
    """Draws the picture.

    Args:
      path: PNG to write.
      title: over the frames.
      scores: [frames, classes] in 0..1; the classes with the greatest peaks are drawn.
      times_sec: [frames + 1], each frame's start and the end of the last.
      labels: class names.
      samples: (time, rgb uint8 [height, width, 3]) of the frames to show.
    """
    with names_readable():  # which are missed as soon as the layout is worked out
        figure = make_figure(title, scores, times_sec, labels, samples)
    save_png(figure, path)


def make_figure(
    title: str,
    scores: np.ndarray,
    times_sec: np.ndarray,
    labels: Sequence[str],
    samples: Sequence[tuple[float, np.ndarray]],
) -> Figure:
    """Returns the figure that `draw_timeline` saves: axes for the frames, an empty one, for scores and the scale."""
    shown = np.argsort(-scores.max(axis=0), kind="stable")[:_MOST_CLASSES]
    heights = [_strip_height(samples), _ROW_HEIGHT * len(shown)]
    figure = Figure(figsize=(_WIDTH, sum(heights) + 1.2), layout="constrained")
    figure.suptitle(_shortened(title, _LONGEST_TITLE), fontsize=10, parse_math=False)
    grid = {"height_ratios": heights, "width_ratios": [1, 0.012]}
    (strip, corner), (rows, scale) = figure.subplots(2, 2, gridspec_kw=grid)
    corner.set_axis_off()
    _draw_samples(strip, samples)
    columns, edges = _columns(scores[:, shown], times_sec)
    mesh = rows.pcolormesh(edges, np.arange(len(shown) + 1), columns.T, vmin=0, vmax=1)
    names = [_shortened(labels[i], _LONGEST_LABEL) for i in shown]
    rows.set_yticks(np.arange(len(shown)) + 0.5, names, fontsize=_FONT, parse_math=False)
    rows.tick_params(axis="x", labelsize=_FONT)
    rows.tick_params(axis="y", length=0)
    rows.set(xlim=(edges[0], edges[-1]), ylim=(len(shown), 0))
    rows.set_xlabel("seconds", fontsize=_FONT)
    # A mark at each sample's time, on the axis's upper edge.
    place = rows.get_xaxis_transform()
    for time, _ in samples:
        rows.plot(time, 1, "v", color="black", markersize=5, transform=place, clip_on=False)
    figure.colorbar(mesh, cax=scale).set_label("score", fontsize=_FONT)
    scale.tick_params(labelsize=_FONT)
    return figure


def _strip_height(samples: Sequence[tuple[float, np.ndarray]]) -> float:
    """Returns the height of the frames: as at the width that each gets; portraits are kept in bounds."""
    height, width = samples[0][1].shape[:2]
    return min(0.8 * _WIDTH / len(samples) * height / width, 2.0)


def _draw_samples(strip: Axes, samples: Sequence[tuple[float, np.ndarray]]) -> None:
    """Draws frames side by side: of equal parts of the video, each lies over its part."""
    strip.set_axis_off()
    share = 1 / len(samples)
    for number, (time, picture) in enumerate(samples):
        axis = strip.inset_axes((number * share + 0.02 * share, 0, 0.96 * share, 1))
        axis.imshow(picture)
        axis.set_title(f"{time:.1f} s", fontsize=_FONT, pad=3)
        axis.set_axis_off()


def _columns(scores: np.ndarray, times_sec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduces frames to at most _MOST_COLUMNS columns, each with the greatest score of its frames."""
    count = min(len(scores), _MOST_COLUMNS)
    starts = np.arange(count) * len(scores) // count
    return np.maximum.reduceat(scores, starts), times_sec[[*starts, -1]]


def _shortened(text: str, longest: int) -> str:
    """Leaves out the middle of a long text: names often differ at their ends."""
    if len(text) <= longest:
        return text
    half = (longest - 1) // 2
    return f"{text[:half]}…{text[-half:]}"
