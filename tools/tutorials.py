"""Runs the tutorials of docs/tutorials, and writes what their cells print and draw into them: `make tutorials`.

A tutorial is Markdown as jupytext reads it: blocks of python and bash are the cells of a notebook. A block of
`output` after a cell, and a picture after that, show a real run; in the notebook they are the cell's outputs.
All run in one folder, in which the first one's data and run are there for the others.
"""

from __future__ import annotations

import base64
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jupytext
from nbclient import NotebookClient

from official_vision import cli, files

# nbformat's NotebookNode, a dict with attributes: of a notebook, a cell, an output.
Node = Any

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "docs" / "tutorials"
# In the order in which they are run.
NAMES = ("own_videos", "search", "serving", "python")
LIMIT_SEC = 600
# What a tutorial uses of a checkout beside the installed package.
_OF_CHECKOUT = (".cache", "tools", "gin_configs")

_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
# Which language's blocks are plain cells; blocks of bash become %%bash cells.
_HEADER = f"---\njupyter:\n  kernelspec: {json.dumps(_KERNEL)}\n---\n\n"
_CELL = re.compile(r"^```(?:python|bash)\n.*?^```\n", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r"\s*^```output\n(?P<text>.*?)^```\n", re.MULTILINE | re.DOTALL)
_PICTURE = re.compile(r"\s*^!\[[^\]]*\]\((?P<picture>[^)\s]+\.png)\)\n", re.MULTILINE)
# Links lead nowhere from a notebook that was downloaded, but for those into the web.
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!\w+:)[^)]+\)")


class Cell(NamedTuple):
    """A cell of a tutorial and what is shown of a run of it.

    Attributes:
      source_end: where the cell's block ends in the tutorial's text.
      text_end: where the printed text below it ends, if there is one.
      end: where the picture below that ends, if there is one.
      text: what it printed; empty for nothing.
      picture: path of what it drew, relative to the tutorial; empty for nothing.
    """

    source_end: int
    text_end: int
    end: int
    text: str
    picture: str


def cells_of(text: str) -> Iterator[Cell]:
    """Yields the cells of a tutorial's text."""
    for block in _CELL.finditer(text):
        shown = _TEXT.match(text, block.end())
        text_end = shown.end() if shown else block.end()
        drawn = _PICTURE.match(text, text_end)
        yield Cell(
            block.end(),
            text_end,
            drawn.end() if drawn else text_end,
            shown["text"] if shown else "",
            drawn["picture"] if drawn else "",
        )


def notebook(text: str) -> Node:
    """Returns a tutorial's text as a notebook without outputs."""
    book = jupytext.reads(_HEADER + _without_outputs(text), fmt="md")
    book.metadata = {"kernelspec": _KERNEL}
    for number, cell in enumerate(
        book.cells
    ):  # random otherwise: each build would write other files
        cell.id = f"cell-{number}"
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(r"\1", cell.source)
    return book


def notebook_with_outputs(path: Path) -> Node:
    """Returns a tutorial as a notebook with the outputs that it shows.

    Args:
      path: its Markdown; pictures are relative to its folder.
    """
    text = path.read_text(encoding="utf-8")
    book = notebook(text)
    for cell, shown in zip(_code(book), cells_of(text), strict=True):
        if shown.text:
            output = {"output_type": "stream", "name": "stdout", "text": shown.text}
            cell.outputs.append(type(cell)(output))
        if shown.picture:
            data = base64.b64encode((path.parent / shown.picture).read_bytes()).decode()
            output = {"output_type": "display_data", "data": {"image/png": data}, "metadata": {}}
            cell.outputs.append(type(cell)(output))
    return book


def _code(book: Node) -> list[Node]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def _without_outputs(text: str) -> str:
    pieces, end = [], 0
    for cell in cells_of(text):
        pieces.append(text[end : cell.source_end])
        end = cell.end
    return "".join([*pieces, text[end:]])


def run(book: Node, folder: Path) -> list[tuple[str, bytes]]:
    """Runs a notebook's cells in a folder.

    Args:
      book: the notebook; its outputs are replaced.
      folder: working folder; `prepare_folder` makes one.

    Returns:
      What each cell printed, without its standard error, and the PNG that it displayed, empty for none.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell failed.
    """
    client = NotebookClient(
        book,
        timeout=LIMIT_SEC,
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
    )
    client.execute()
    return [_results(cell.outputs) for cell in _code(book)]


def prepare_folder(folder: Path) -> None:
    """Links what tutorials use of the checkout into an empty folder."""
    for name in _OF_CHECKOUT:
        (folder / name).symlink_to(REPOSITORY / name)


def with_outputs(text: str, results: list[tuple[str, bytes]]) -> str:
    """Returns a tutorial's text with what a run printed in place of what it shows."""
    pieces, end = [], 0
    for cell, (printed, _) in zip(cells_of(text), results, strict=True):
        pieces.append(text[end : cell.source_end])
        if printed:
            pieces.append(f"\n```output\n{printed.rstrip()}\n```\n")
        end = cell.text_end
    return "".join([*pieces, text[end:]])


def _results(outputs: list[Node]) -> tuple[str, bytes]:
    printed, picture = "", b""
    for output in outputs:
        data = output.get("data", {})
        if output.output_type == "stream" and output.name == "stdout":
            printed += output.text
        elif "image/png" in data:
            picture = base64.b64decode(data["image/png"])
        elif "text/plain" in data:
            printed += data["text/plain"] + "\n"
    return printed, picture


def main() -> None:
    """Runs every tutorial and writes its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_folder(Path(folder))
        for name in NAMES:
            path = FOLDER / f"{name}.md"
            text = path.read_text(encoding="utf-8")
            results = run(notebook(text), Path(folder))
            for cell, (_, drawn) in zip(cells_of(text), results, strict=True):
                if drawn:
                    with files.written_aside(path.parent / cell.picture) as partial:
                        partial.write_bytes(drawn)
            files.write_text(path, with_outputs(text, results))
            print(f"{path.relative_to(REPOSITORY)}: {len(results)} cells")


if __name__ == "__main__":
    cli.run(main)
