"""Fonts for names in any script: matplotlib's, and installed ones for the letters that it lacks."""

from __future__ import annotations

import contextlib
import functools
import sys
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font

_USUAL = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
_MOST_NAMED = 20  # of missing letters
_UPRIGHT = ("regular", "book", "normal", "medium")
_DRAWN_BY_NONE = ("Cc", "Cf", "Zs", "Zl", "Zp", "Mn")
_reported: set[str] = set()


def families_for(texts: Iterable[str]) -> list[str]:
    """Returns the font families, besides matplotlib's, that have the letters of these texts.

    Letters that no installed font has are reported on standard error, in one line, once each.
    """
    lacking = {c for text in texts for c in text if unicodedata.category(c) not in _DRAWN_BY_NONE}
    lacking -= _letters_of(_USUAL)
    return list(_families(frozenset(lacking))) if lacking else []


@contextlib.contextmanager
def boxes_allowed() -> Iterator[None]:
    """Keeps matplotlib from warning of each letter that it draws as a box: `families_for` has reported it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def text_mask(text: str, height: int, width: int) -> np.ndarray:
    """Draws a text on one line, left-aligned, and shortened to its width where it must be.

    Args:
      text: in any script.
      height: of the line in pixels; letters are 0.7 of it.
      width: in pixels.

    Returns:
      uint8 [height, width], how far each pixel is covered.
    """
    figure = Figure(figsize=(width / 72, height / 72), dpi=72)
    figure.patch.set_alpha(0)
    canvas = FigureCanvasAgg(figure)
    size, families = 0.7 * height, families_for([text])
    drawn = figure.text(0, 0.25, text, fontsize=size, color="white", parse_math=False)
    drawn.set_fontfamily([*drawn.get_fontfamily(), *families])
    length = len(text)
    with boxes_allowed():
        while length > 1 and drawn.get_window_extent(canvas.get_renderer()).width > width:
            length -= 1
            drawn.set_text(f"{text[:length]}…")
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., 3].copy()


@functools.cache
def _families(lacking: frozenset[str]) -> tuple[str, ...]:
    chosen, left = [], set(lacking)
    covering = _covering(lacking)
    while left:
        # The font that has most of them; of several an upright one, then the first by name.
        path = max(covering, key=lambda p: len(covering[p][0] & left), default=None)
        if path is None or not covering[path][0] & left:
            break
        left -= covering[path][0]
        font_manager.fontManager.addfont(path)  # its list may be older than the font's installation
        chosen.append(covering[path][1])
    _tell(left)
    return tuple(dict.fromkeys(chosen))


def _covering(lacking: frozenset[str]) -> Mapping[str, tuple[frozenset[str], str]]:
    """Returns, by font file, the letters of `lacking` that it has, and its family; upright fonts first."""
    candidates = {}
    for path in sorted(font_manager.findSystemFonts()):
        try:
            font = FT2Font(path)
            letters = lacking.intersection(map(chr, font.get_charmap()))
        except (RuntimeError, OSError, ValueError):  # damaged, or of bitmaps alone
            continue
        if letters and font.scalable:
            upright = font.style_name.lower() in _UPRIGHT
            candidates[path] = (not upright, letters, font.family_name)
    ordered = sorted(candidates.items(), key=lambda item: item[1][0])
    return {path: (letters, family) for path, (_, letters, family) in ordered}


def _letters_of(path: Path) -> set[str]:
    return set(map(chr, FT2Font(str(path)).get_charmap()))


def _tell(lacking: set[str]) -> None:
    new = sorted(lacking - _reported)
    _reported.update(new)
    if new:
        named = "".join(new[:_MOST_NAMED]) + ("..." if len(new) > _MOST_NAMED else "")
        print(
            f"note: no installed font has {named}: pictures show boxes there. Install one that does, e.g. Noto Sans.",
            file=sys.stderr,
        )
