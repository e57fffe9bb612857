"""An evolution's page: the front, the best, its line and its family, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.errors import UserError
from official_vision.search.evolution.mutation import mutate
from official_vision.search.evolution.selection import best_of, front_of
from official_vision.search.report.page import describe
from official_vision.search.report.population import mutation_words
from tests.search.evolution.test_mutation import PEERED
from tests.search.report import folders


def test_the_best_and_its_family(tmp_path):
    report = describe(folders.write_population(tmp_path / "evolution"))
    shown = report["evolution"]
    assert shown["lineage"] == [1, 3, 5]
    assert shown["front"] == [0, 3, 5]
    assert shown["best_so_far"] == [[0, 0.3], [1, 0.4], [3, 0.5], [5, 0.6], [6, 0.6]]
    assert [(one["id"], one["siblings"]) for one in shown["generations"]] == [
        (1, []),
        (3, [4, 2]),
        (5, [6]),
    ]
    strengths = [one["strength"] for one in shown["drawings"][0]["connections"]]
    assert strengths == [0.1, 0.5, 0.9, 0.25, 0.75]
    facts = dict(report["facts"])
    assert facts["Children"] == "7 (of which 1 failed)"
    assert facts["First population's best"] == "0.4000"


def test_of_a_loss_the_lowest_is_best():
    children = [
        {"id": n, "figure": figure, "flops": flops, "metric": "validation_loss"}
        for n, (figure, flops) in enumerate([(0.9, 1), (0.2, 3), (0.5, 2), (0.6, 4)])
    ]
    assert best_of(children)["id"] == 1
    assert [child["id"] for child in front_of(children)] == [0, 2, 1]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1))
def test_the_front_is_what_no_other_child_beats(pairs):
    children = [
        {"id": n, "figure": figure, "flops": flops, "metric": "mAP"}
        for n, (figure, flops) in enumerate(pairs)
    ]
    front = {(c["figure"], c["flops"]) for c in front_of(children)}
    unbeaten = {
        (f, c)
        for f, c in pairs
        if not any((g >= f and d < c) or (g > f and d <= c) for g, d in pairs)
    }
    assert front == unbeaten


@pytest.mark.parametrize(
    ("mutation", "words"),
    [
        (None, "first population"),
        (
            {"kind": "split", "node": 3, "channels": [2, 2]},
            "node 3 split: 2 and 2 channels",
        ),
        ({"kind": "connections", "dropped": [[0, 3]], "added": []}, "dropped 0 → 3"),
        (
            {"kind": "connections", "dropped": [[0, 3]], "added": [[1, 3], [2, 4]]},
            "added 1 → 3, 2 → 4; dropped 0 → 3",
        ),
        ({"kind": "drop", "strength": 0.12345, "to": None}, "drop, strength 0.123"),
        ("merge", "merge"),
    ],
)
def test_mutations_in_words(mutation, words):
    assert mutation_words(mutation) == words


def test_every_mutation_has_a_description():
    for seed in range(60):
        words = mutate(PEERED, np.random.default_rng(seed), {}, True, "c").words
        assert "[" not in mutation_words(words)
        assert words["kind"] not in mutation_words(words).split(",")  # not as a bare name


def test_a_population_without_an_evaluated_child(tmp_path):
    lines = [folders.child(0, None, None, 100)]
    report = describe(folders.write_population(tmp_path / "evolution", lines))
    assert "evolution" not in report
    assert report["missing"] == ["The population: no child has been evaluated yet."]


def test_lines_of_something_else(tmp_path):
    with pytest.raises(UserError, match=r"population\.jsonl must hold one line per child"):
        describe(folders.write_population(tmp_path / "evolution", [{"id": 0, "figure": 1}]))
