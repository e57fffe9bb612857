"""Figures as PNG files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from official_vision import files
from official_vision.presentation.fonts import boxes_allowed, families_for


@contextlib.contextmanager
def names_readable(figure: Figure | None = None) -> Iterator[None]:
    """Draws names with installed fonts, and as boxes where none has a letter, without a warning each.

    Args:
      figure: whose texts look for fonts; None where it is still to be made.
    """
    if figure is not None:
        for axes in figure.findobj(Axes):
            axes.get_xticklabels(), axes.get_yticklabels()  # which makes the texts of ticks
        texts = figure.findobj(Text)
        families = families_for(text.get_text() for text in texts)
        for text in texts if families else ():
            text.set_fontfamily([*text.get_fontfamily(), *families])
    with boxes_allowed():
        yield


def save_png(figure: Figure, path: str | os.PathLike) -> None:
    """Writes a figure whole or not at all; equal drawings give equal bytes.

    Args:
      figure: made without pyplot, which would keep it in memory.
      path: of the PNG.

    Raises:
      UserError: the file can't be written.
    """
    with names_readable(figure), files.written_aside(path) as partial:
        figure.savefig(partial, format="png", dpi="figure", metadata={"Software": None})
