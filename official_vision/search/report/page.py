"""Writes the page: its data as JSON within a template, with all styles and scripts in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.config import CONFIG_JSON
from official_vision.errors import UserError
from official_vision.presentation import chart_library, pages
from official_vision.search import search_folder
from official_vision.search.evolution.history import POPULATION_FILE
from official_vision.search.report.population import describe_population
from official_vision.search.report.run_series import describe_run, describe_search

REPORT_FILE = "report.html"
# In the order in which they build on each other.
_SCRIPTS = (
    "dom.js",
    "plot.js",
    "graph.js",
    "network.js",
    "sections.js",
    "evolution.js",
    "main.js",
)


def write_report(folder: str | os.PathLike) -> Path:
    """Writes report.html into the folder of a run, a one-shot search or an evolution.

    Args:
      folder: finished or not; what it doesn't hold yet is named on the page.

    Returns:
      The page's path. It needs no other file and no network.

    Raises:
      UserError: the folder is none of these, or its records are not what training and search write.
    """
    folder = Path(folder)
    path = folder / REPORT_FILE
    report = describe(folder)
    title = f"{report['kind'].capitalize()}: {folder.resolve().name}"
    files.write_text(path, page_of(title, report))
    return path


def describe(folder: Path) -> dict[str, Any]:
    """Returns everything that the page shows, as JSON values; as `write_report`."""
    if (folder / POPULATION_FILE).is_file():
        return describe_population(folder)
    if (folder / search_folder.SEARCH_FOLDER / CONFIG_JSON).is_file():
        return describe_search(folder)
    if (folder / CONFIG_JSON).is_file():
        return describe_run(folder)
    raise UserError(
        f"A report shows the folder of a run ({CONFIG_JSON}), a one-shot search "
        f"({search_folder.SEARCH_FOLDER}/{CONFIG_JSON}) or an evolution ({POPULATION_FILE}). Received: {folder}, "
        "which has none of them. Name the folder that official-vision search or official-vision train wrote to."
    )


def page_of(title: str, report: Mapping[str, Any]) -> str:
    """Returns the page's HTML.

    Args:
      title: of the page, plain text.
      report: from `describe`.
    """
    return pages.page_of(
        title,
        pages.asset(__package__, "report.html"),
        header='<dl id="facts" class="facts"></dl>',
        style=chart_library.style(),
        script="\n".join(
            [chart_library.script(), *(pages.asset(__package__, name) for name in _SCRIPTS)]
        ),
        data=report,
    )
