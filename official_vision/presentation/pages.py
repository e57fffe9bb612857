"""The template of all pages: one style, and nothing that a browser would have to fetch."""

from __future__ import annotations

import html
import importlib.resources
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from official_vision.presentation.palette import css_variables

_ASSETS = "assets"


def page_of(
    title: str,
    body: str,
    *,
    header: str = "",
    script: str = "",
    data: Mapping[str, Any] | None = None,
) -> str:
    """Returns a page's HTML.

    Args:
      title: plain text, also the heading.
      body: HTML.
      header: HTML below the heading.
      script: JavaScript, run when the page is there.
      data: JSON values in an element with the id data, for the script.
    """
    pieces = {
        "title": html.escape(title),
        "style": f"{css_variables()}\n{asset(__package__, 'page.css')}",
        "header": header,
        "body": body,
        "data": "" if data is None else _embedded(data),
        "script": f'<script>\n"use strict";\n{script}\n</script>\n' if script else "",
    }
    # Split first: a piece may hold what looks like the place of another.
    parts = asset(__package__, "page.html").split("@")
    return "".join(pieces.get(part, part) for part in parts)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns an HTML table of plain texts, a row of heads above the others."""
    lines = ["".join(f"<th>{html.escape(head)}</th>" for head in heads)]
    lines += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return "<table>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def asset(package: str, name: str) -> str:
    """Returns the text of a file in the folder `assets` of a package."""
    return (importlib.resources.files(package) / _ASSETS / name).read_text(encoding="utf-8")


def _embedded(data: Mapping[str, Any]) -> str:
    """Returns JSON that cannot end the script element that contains it."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" id="data">{text}</script>\n'
