"""A picture of a whole video's scores: sample frames above, a row a class below."""

from __future__ import annotations

import os
from collections.abc import Sequence

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from official_vision import files

_MOST_CLASSES = 12


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
      scores: [frames, classes] in 0..1; the strongest classes are drawn.
      times_sec: [frames + 1], each frame's start and the end of the last.
      labels: class names.
      samples: (time, rgb uint8 [height, width, 3]) of the frames to show.
    """
    shown = np.argsort(-scores.max(axis=0), kind="stable")[:_MOST_CLASSES]
    figure = plt.figure(figsize=(10, 2.1 + 0.32 * len(shown)), layout="constrained")
    strip, rows = figure.subfigures(2, 1, height_ratios=[1.5, 0.6 + 0.32 * len(shown)])
    strip.suptitle(title, fontsize=10)
    for axis, (time, picture) in zip(
        np.atleast_1d(strip.subplots(1, len(samples))), samples, strict=True
    ):
        axis.imshow(picture)
        axis.set_title(f"{time:.1f} s", fontsize=8)
        axis.set_axis_off()
    axis = rows.subplots()
    mesh = axis.pcolormesh(
        times_sec, np.arange(len(shown) + 1), scores[:, shown].T, vmin=0, vmax=1, cmap="viridis"
    )
    axis.set_yticks(np.arange(len(shown)) + 0.5, [labels[i] for i in shown], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("seconds", fontsize=8)
    rows.colorbar(mesh, ax=axis, label="score")
    with files.written_aside(path) as partial:
        figure.savefig(partial, dpi=100, metadata={"Software": None})
    plt.close(figure)
