"""uPlot, the library that paints the charts of pages: copies of its published files lie in assets/uplot."""

from __future__ import annotations

from official_vision.presentation import pages


def script() -> str:
    """Returns uPlot's JavaScript, which defines the global `uPlot`, below the licence that has to go with it."""
    licence = pages.asset(__package__, "uplot/LICENSE.txt")
    return f"/*!\n{licence}\n*/\n{pages.asset(__package__, 'uplot/uPlot.iife.min.js')}"


def style() -> str:
    """Returns uPlot's CSS."""
    return pages.asset(__package__, "uplot/uPlot.min.css")
