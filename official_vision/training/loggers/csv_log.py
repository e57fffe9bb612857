"""A run as CSV files, which spreadsheets and pandas read: training.csv and evaluations.csv, a row for each step."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from official_vision import files
from official_vision.training.loggers.logger import EVALUATION, TRAINING

TRAINING_FILE, EVALUATIONS_FILE = "training.csv", "evaluations.csv"
_STEP = "step"

Row = dict[str, str]


class CsvTable:
    """A CSV file that grows by rows, each of another step, and goes on where a run resumes.

    A row is appended in one write, and read only if it ends with a line break: what a kill cut off is left out. A
    row of a step that the file has replaces it. Columns are added at the right, for which the whole file is
    written anew; rows without a value have an empty cell.
    """

    def __init__(self, path: Path):
        """Args:
        path: of the file; made with the first row.
        """
        self._path = path
        self._columns: list[str] = []
        self._rows: list[Row] = []

    def resume(self, step: int) -> None:
        """Reads the file, and drops rows of later steps; at step 0 all."""
        self._columns, rows = read_rows(self._path)
        self._rows = [row for row in rows if int(row[_STEP]) <= step] if step else []
        if self._path.is_file():
            self._write()

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Adds the row of a step; numbers have as many digits as they need to be read back the same."""
        row = {_STEP: str(step), **{name: repr(float(value)) for name, value in values.items()}}
        added = [name for name in row if name not in self._columns]
        is_repeated = any(before[_STEP] == row[_STEP] for before in self._rows)
        self._rows = [before for before in self._rows if before[_STEP] != row[_STEP]] + [row]
        self._columns += added
        if added or is_repeated or not self._path.is_file():
            self._write()
            return
        with open(self._path, "a", encoding="utf-8", newline="") as file:
            file.write(_lines([self._cells(row)]))

    def _write(self) -> None:
        cells = [self._cells(row) for row in self._rows]
        with files.written_aside(self._path) as partial:
            partial.write_text(_lines([self._columns or [_STEP], *cells]), encoding="utf-8")

    def _cells(self, row: Row) -> list[str]:
        return [row.get(name, "") for name in self._columns]


class CsvLogger:
    """Writes both files into a run's folder."""

    name = "csv"

    def __init__(self, folder: Path):
        """Args:
        folder: of the run.
        """
        self._tables = {
            TRAINING: CsvTable(folder / TRAINING_FILE),
            EVALUATION: CsvTable(folder / EVALUATIONS_FILE),
        }

    def resume(self, step: int) -> None:
        """Drops the rows of later steps."""
        for table in self._tables.values():
            table.resume(step)

    def log(self, kind: str, step: int, values: Mapping[str, float]) -> None:
        """Writes a row."""
        self._tables[kind].append(step, values)

    def close(self, outcome: str) -> None:
        """Does nothing: every row is in its file."""


def read_rows(path: Path) -> tuple[list[str], list[Row]]:
    """Returns the columns of a file and its whole rows, none where there is no file.

    Args:
      path: of a file of `CsvTable`, which may have been saved by a spreadsheet.

    Raises:
      UserError: the file is not such a table.
    """
    if not path.is_file():
        return [], []
    with files.damage_reported(path):
        text = path.read_text(encoding="utf-8-sig")
        whole = text[: text.rfind("\n") + 1]
        columns, *rows = list(csv.reader(io.StringIO(whole))) or [[]]
        if columns and columns[0] != _STEP:
            raise ValueError(f"its first column is {columns[0]!r}, not {_STEP!r}")
        cells = [dict(zip(columns, row, strict=True)) for row in rows if len(row) == len(columns)]
        return columns, [row for row in cells if row[_STEP].isdecimal()]


def _lines(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
