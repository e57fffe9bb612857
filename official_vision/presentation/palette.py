"""The colours of pictures and pages; the colour-blind can distinguish those of streams (Okabe & Ito 2008)."""

from __future__ import annotations

INK, SOFT, LINE = "#1d2433", "#5a6372", "#d5d9e0"  # text and lines, what matters less, grids
PAPER, TINT = "#ffffff", "#f4f6f9"
ACCENT = "#7b2d8e"  # what is chosen
STREAMS = {"rgb": "#0072b2", "flow": "#d55e00", "objects": "#009e73"}
# Two series side by side, and a third in the background.
FIRST, SECOND, THIRD = STREAMS["rgb"], STREAMS["flow"], SOFT


def css_variables() -> str:
    """Returns the palette as CSS: a rule that sets --ink, --rgb and so on."""
    named = {"ink": INK, "soft": SOFT, "line": LINE, "paper": PAPER, "tint": TINT}
    named |= {**STREAMS, "block": SOFT, "accent": ACCENT}
    return f":root {{ {' '.join(f'--{name}: {value};' for name, value in named.items())} }}"
