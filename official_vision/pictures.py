"""Drawn figures as PNG files."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator

from matplotlib.figure import Figure

from official_vision import files


@contextlib.contextmanager
def missing_glyphs_allowed() -> Iterator[None]:
    """Draws names in scripts that the font lacks as boxes, without a warning each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save_png(figure: Figure, path: str | os.PathLike) -> None:
    """Writes a figure whole or not at all, the same bytes for the same drawing.

    Args:
      figure: made without pyplot, which would keep it in memory.
      path: of the PNG.

    Raises:
      UserError: the file can't be written.
    """
    with missing_glyphs_allowed(), files.written_aside(path) as partial:
        figure.savefig(partial, format="png", dpi="figure", metadata={"Software": None})
