"""Evolutions beside each other: the table's figures against hand computation, and what is refused."""

import dataclasses
import json
import statistics

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.search.evolution.comparison import (
    best_so_far,
    compare_evolutions,
    draw,
    grouped,
)
from official_vision.search.evolution.evolve import InTurn, evolve_with
from official_vision.specs import EvolutionSpec
from tests.search.evolution.test_evolve import SEED, judge

SPEC = EvolutionSpec(population=3, children=9, tournament=2, founder_changes=2)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evolutions")
    names = []
    for guided in (True, False):
        for seed in (0, 1):
            spec = dataclasses.replace(SPEC, guided=guided, seed=seed)
            names.append(folder / f"{guided}-{seed}")
            seeds = {"train.seed": seed, "train.steps": 20}
            evolve_with(InTurn(judge), SEED, spec, "score", names[-1], settings=seeds)
    return names


def _records(folder):
    return [json.loads(line) for line in (folder / "population.jsonl").read_text().splitlines()]


def _gain(folder):
    records = _records(folder)
    return statistics.fmean(r["figure"] - records[r["parent"]]["figure"] for r in records[3:])


def test_a_row_is_the_mean_and_deviation_over_seeds(folders):
    lines = compare_evolutions(folders).splitlines()
    assert len(lines) == 3
    for line, group in zip(lines[1:], (folders[:2], folders[2:]), strict=True):
        assert line.startswith("guided true" if group[0].name == "True-0" else "guided false")
        figures = [[record["figure"] for record in _records(folder)] for folder in group]
        for values in (
            [max(run[:3]) for run in figures],
            [max(run) for run in figures],
            [sum(run[3:]) / 9 for run in figures],
            [_gain(folder) for folder in group],
        ):
            deviation = abs(values[0] - values[1]) / 2**0.5  # of two values
            assert f"{sum(values) / 2:.4f} ± {deviation:.4f}" in line


def test_other_training_makes_another_row(folders, tmp_path):
    spec = dataclasses.replace(SPEC, seed=2)
    evolve_with(InTurn(judge), SEED, spec, "score", tmp_path, settings={"train.steps": 30})
    groups = grouped([folders[0], folders[1], tmp_path])
    assert {name: len(runs) for name, runs in groups.items()} == {
        "train.steps 20": 2,
        "train.steps 30": 1,
    }


def test_the_best_so_far_never_falls_and_passes_failures_over():
    records = [
        {"figure": figure, "status": "evaluated" if figure is not None else "failed"}
        for figure in (None, 0.2, 0.1, None, 0.4, 0.3)
    ]
    np.testing.assert_array_equal(best_so_far(records), [np.nan, 0.2, 0.2, 0.2, 0.4, 0.4])


def test_the_picture_has_a_curve_a_run_and_a_mean_a_group(folders, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda figure, *_, **__: drawn.append(figure)
    )
    groups = grouped(folders)
    draw(groups, tmp_path / "picture.png")
    progress, fronts = drawn[0].axes
    assert len(progress.lines) == 2 * (2 + 1)
    assert len(fronts.lines) == 4
    first = progress.lines[2]
    expected = [
        statistics.fmean(values)
        for values in zip(*(best_so_far(records) for records in groups["guided true"]), strict=True)
    ]
    np.testing.assert_allclose(first.get_ydata(), expected)


def test_unequal_budgets_unfinished_and_strange_folders_are_refused(folders, tmp_path):
    with pytest.raises(UserError, match="two or more"):
        compare_evolutions(folders[:1])
    with pytest.raises(UserError, match=r"evolution\.json"):
        compare_evolutions([folders[0], tmp_path])
    other = tmp_path / "longer"
    evolve_with(InTurn(judge), SEED, dataclasses.replace(SPEC, children=10), "score", other)
    with pytest.raises(UserError, match="children"):
        compare_evolutions([folders[0], other])
    lines = (other / "population.jsonl").read_text().splitlines(keepends=True)
    (other / "population.jsonl").write_text("".join(lines[:5]))
    settings = json.loads((other / "evolution.json").read_text())
    (other / "evolution.json").write_text(json.dumps({**settings, "children": 9}))
    with pytest.raises(UserError, match="5 of 12"):
        compare_evolutions([folders[0], other])
