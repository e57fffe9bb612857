"""CSV files of a run: rows read back as what was logged, after kills, repeats and changed columns."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.training.loggers.csv_log import CsvLogger, CsvTable


def table(path, step):
    resumed = CsvTable(path)
    resumed.resume(step)
    return resumed


def read(path):
    """As Python's reader of CSV files has it, without this package."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_numbers_read_back_bit_for_bit(tmp_path):
    values = {"loss": 0.1 + 0.2, "rate": 1e-30, "mAP": math.nan, "norm": math.inf, "n": 3}
    table(tmp_path / "a.csv", 0).append(7, values)
    table(tmp_path / "a.csv", 7).append(8, {**values, "loss": np.float32(0.1)})
    first, second = read(tmp_path / "a.csv")
    assert int(first.pop("step")) == 7
    assert {name: float(cell) for name, cell in first.items()} == pytest.approx(
        values, rel=0, abs=0, nan_ok=True
    )
    assert float(second["loss"]) == float(np.float32(0.1))
    numbers = np.genfromtxt(tmp_path / "a.csv", delimiter=",", names=True)
    assert numbers["loss"][0] == 0.1 + 0.2
    assert np.isnan(numbers["mAP"]).all()


def test_a_resumed_run_has_no_row_twice_and_no_half_row(tmp_path):
    """Killed in the middle of a row after the checkpoint of step 4; the cut number is one too."""
    path = tmp_path / "a.csv"
    log = table(path, 0)
    for step in (2, 4, 6):
        log.append(step, {"loss": step / 8, "rate": 0.25})
    with open(path, "a", encoding="utf-8") as file:
        file.write("8,1.0,0.2")
    assert len(read(path)) == 4
    table(path, 8)
    assert [row["step"] for row in read(path)] == ["2", "4", "6"]
    log = table(path, 4)
    assert [row["step"] for row in read(path)] == ["2", "4"]
    log.append(4, {"loss": 9.0, "rate": 0.5})  # an evaluation that is made again
    log.append(6, {"loss": 0.75, "rate": 0.25})
    assert [tuple(row.values()) for row in read(path)] == [
        ("2", "0.25", "0.25"),
        ("4", "9.0", "0.5"),
        ("6", "0.75", "0.25"),
    ]
    table(path, 0).append(2, {"loss": 1.0})  # a run that begins afresh
    assert read(path) == [{"step": "2", "loss": "1.0", "rate": ""}]


def test_other_columns_leave_every_number_under_its_name(tmp_path):
    path = tmp_path / "a.csv"
    log = table(path, 0)
    log.append(2, {"loss": 1.0, "old": 2.0})
    log = table(path, 2)
    log.append(4, {"new, with a comma": 3.0, "loss": 4.0})
    log.append(6, {"loss": 5.0})
    assert read(path) == [
        {"step": "2", "loss": "1.0", "old": "2.0", "new, with a comma": ""},
        {"step": "4", "loss": "4.0", "old": "", "new, with a comma": "3.0"},
        {"step": "6", "loss": "5.0", "old": "", "new, with a comma": ""},
    ]


def test_a_file_that_a_spreadsheet_saved_goes_on(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffstep,loss\r\n2,1.5\r\n".encode())
    table(path, 2).append(4, {"loss": 2.5})
    assert read(path) == [{"step": "2", "loss": "1.5"}, {"step": "4", "loss": "2.5"}]


def test_another_table_is_refused_not_overwritten(tmp_path):
    (tmp_path / "training.csv").write_text("name;value\nx;1\n")
    with pytest.raises(
        UserError, match=r"Received: .*training\.csv .*first column is 'name;value'"
    ):
        CsvLogger(tmp_path).resume(4)
    assert (tmp_path / "training.csv").read_text() == "name;value\nx;1\n"
