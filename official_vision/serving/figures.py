"""Drawn figures as PNG files."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from official_vision import files


@contextlib.contextmanager
def missing_glyphs_allowed() -> Iterator[None]:
    """Draws names in scripts that the font lacks as boxes, without a warning each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save_png(figure: Figure, path: str | os.PathLike) -> None:
    """Writes a figure, the same bytes for the same drawing, and closes it.

    Args:
      figure: it can't be drawn again.
      path: of the PNG.
    """
    with missing_glyphs_allowed(), files.written_aside(path) as partial:
        try:
            figure.savefig(partial, dpi=100, metadata={"Software": None})
        finally:
            plt.close(figure)
