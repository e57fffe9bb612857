"""Records of a run: each step once, whatever interrupts it."""

from __future__ import annotations

import pytest

from official_vision.training.observation.jsonlines import JsonLines, read_lines


def steps(path):
    return [record["step"] for record in read_lines(path)]


def test_a_resumed_run_does_not_repeat_steps(tmp_path):
    path = tmp_path / "run" / "lines.jsonl"
    assert read_lines(path) == []
    first = JsonLines(path, 0)
    for step in (10, 20, 30):
        first.append({"step": step, "of": "first"})
    second = JsonLines(path, 20)
    assert [r["step"] for r in second.records] == [10, 20]
    assert second.dropped == ({"step": 30, "of": "first"},)
    second.append({"step": 30, "of": "second"})
    assert steps(path) == [10, 20, 30]
    assert read_lines(path)[-1]["of"] == "second"
    JsonLines(path, 0)
    assert steps(path) == []


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    path = tmp_path / "lines.jsonl"
    JsonLines(path, 0).append({"step": 10})
    with open(path, "a", encoding="utf-8") as file:
        file.write('{"step":2')
    assert steps(path) == [10]
    JsonLines(path, 10).append({"step": 20})
    assert steps(path) == [10, 20]


def test_other_lines_do_not_end_a_run(tmp_path):
    """A line that a full disk cut off may precede later lines."""
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"step":10}\n{"st{"step":20}\n[1]\n{"step":null}\n\xff\n{"step":30}\n')
    assert steps(path) == [10, 30]


def test_not_a_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        JsonLines(tmp_path / "lines.jsonl", 0).append({"step": 1, "loss": float("nan")})
