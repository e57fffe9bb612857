"""The tutorials: their notebooks run from the first cell to the last, and print what the pages show."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import commands
from tests.docs import questions
from tests.docs.shim import command_on_path
from tools import tutorials

QUESTION_OF_A_RUN = "The folder has a run with other settings"
# What differs from run to run, or from machine to machine.
VOLATILE = re.compile(
    r"^devices: .*|\d+ MiB free|[\d.]+ (?:steps|clips)/s|\d+% waiting|\d+:\d\d|[\d.]+ ms per clip|"
    r"within \S+ \(\S+ in a typical clip\)|(?<=\d\.\d{3})  (?:-|\d[\d., -]*)$",  # last, the times of a class
    re.MULTILINE,
)
NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")
# Another processor rounds otherwise, and 120 steps of training make more of it.
ABSOLUTE, RELATIVE = 0.2, 0.2


def fixed(text: str) -> str:
    return VOLATILE.sub("...", text)


def words(text: str) -> list[list[str]]:
    """The words of each line; a number is "#"."""
    return [NUMBER.sub("#", line).split() for line in fixed(text).strip().splitlines()]


def numbers(text: str) -> list[float]:
    return [float(number.replace(",", "")) for number in NUMBER.findall(fixed(text))]


@pytest.fixture(scope="module")
def folder(footage: dict[str, Path]) -> Iterator[Path]:
    """A folder as a checkout's, in which all tutorials are run, with the commands on the path."""
    assert footage
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory() as programs,
        command_on_path(Path(programs)) as path,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name_of_test in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            patch.delenv(name_of_test)
        patch.setenv("PATH", path)
        patch.setenv("PYTHONPATH", str(tutorials.REPOSITORY))
        tutorials.prepare_folder(Path(name))
        yield Path(name)


@pytest.fixture(scope="module")
def first(folder: Path) -> list[tuple[str, bytes]]:
    """What the first tutorial printed: the others use its folder."""
    return results_of(tutorials.NAMES[0], folder)


def results_of(name: str, folder: Path) -> list[tuple[str, bytes]]:
    text = (tutorials.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    return tutorials.run(tutorials.notebook(text), folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", tutorials.NAMES)
def test_cells_print_what_the_page_shows(name: str, first, folder: Path) -> None:
    results = first if name == tutorials.NAMES[0] else results_of(name, folder)
    text = (tutorials.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for cell, (printed, drawn) in zip(tutorials.cells_of(text), results, strict=True):
        assert bool(drawn) == bool(cell.picture)
        if (
            name == "search"
        ):  # which connections stay is decided by less than another processor's rounding
            assert words(printed)[:1] == words(cell.text)[:1]
            continue
        assert words(printed) == words(cell.text)
        assert numbers(printed) == pytest.approx(numbers(cell.text), abs=ABSOLUTE, rel=RELATIVE)


@pytest.mark.slow
@pytest.mark.usefixtures("first")
def test_a_run_with_other_settings_is_the_question(folder: Path) -> None:
    flags = ["--gin_file=my_settings.gin", "--gin_bindings=DataSpec.size = 48"]
    message = commands.refusal("train", *flags, cwd=folder)
    assert questions.comparable(message, folder) == questions.shown()[QUESTION_OF_A_RUN]


def test_a_tutorial_and_its_outputs_come_apart_and_together(tmp_path: Path) -> None:
    text = "# A\n\nText, [a link](x.md).\n\n```bash\necho 1\n```\n\n```output\n1\n```\n\nOn.\n\n```python\n2\n```\n"
    (tmp_path / "a.md").write_text(text)
    book = tutorials.notebook_with_outputs(tmp_path / "a.md")
    kinds = [cell.cell_type for cell in book.cells]
    assert kinds == ["markdown", "code", "markdown", "code"]
    assert book.cells[0].source == "# A\n\nText, a link."
    assert book.cells[1].source == "%%bash\necho 1"
    assert book.cells[1].outputs[0].text == "1\n"
    assert book.cells[3].outputs == []
    again = tutorials.with_outputs(text, [("3\n", b""), ("2\n", b"")])
    assert [cell.text for cell in tutorials.cells_of(again)] == ["3\n", "2\n"]
    assert tutorials.with_outputs(again, [("1\n", b""), ("", b"")]) == text


def test_links_are_no_code() -> None:
    book = tutorials.notebook('```python\nf["a"](b)\n```\n')
    assert book.cells[0].source == 'f["a"](b)'


@pytest.mark.parametrize("path", sorted(tutorials.FOLDER.glob("*.md")), ids=lambda path: path.stem)
def test_each_tutorial_is_run(path: Path) -> None:
    assert path.stem in tutorials.NAMES


def test_numbers_that_differ_are_seen() -> None:
    assert numbers("mAP 0.5000, 1,204 in 0:12, 3.5 steps/s") == [0.5, 1204.0]
    assert words("a 1.5 b") == [["a", "#", "b"]]
