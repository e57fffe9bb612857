"""Early stopping by hand-made evaluations; test_logged_run.py has whole runs that it ends."""

from __future__ import annotations

import json
import math

import pytest

from official_vision.errors import UserError
from official_vision.specs import TrainSpec
from official_vision.training.resilience.early_stopping import (
    EarlyStopping,
    check_figure,
    is_lower_better,
    without_improvement,
)


@pytest.mark.parametrize(
    ("values", "lower_is_better", "min_delta", "expected"),
    [
        ([], False, 0.0, (0, -1)),
        ([0.1, 0.3, 0.2, 0.3], False, 0.0, (2, 1)),  # the same again is no improvement
        ([0.1, 0.3, 0.2, 0.31], False, 0.0, (0, 3)),
        ([0.1, 0.3, 0.2, 0.31], False, 0.02, (2, 1)),
        ([0.5, 0.7, 0.9], False, 0.2, (0, 2)),  # 0.7 is too near, and 0.9 is compared with 0.5
        ([3.0, 2.0, 2.5, 2.1], True, 0.0, (2, 1)),
        ([-1.0, -2.0], True, 0.5, (0, 1)),
        ([0.0, 0.01, 0.02], False, 5.0, (2, 0)),  # the first is one however great min_delta is
        ([math.nan, math.nan, 0.1, math.nan], False, 0.0, (1, 2)),
        ([math.nan, math.nan], True, 0.0, (2, -1)),
    ],
)
def test_evaluations_since_the_best(values, lower_is_better, min_delta, expected):
    counted = without_improvement(values, lower_is_better=lower_is_better, min_delta=min_delta)
    assert counted == expected


def spec(folder, **settings):
    return TrainSpec(model_dir=str(folder), **{"early_stopping_patience": 2, **settings})


def test_a_run_ends_after_its_patience_and_reports_why(tmp_path):
    stopping = EarlyStopping(spec(tmp_path, early_stopping_min_delta=0.01), 0)
    for step, value in ((10, 0.3), (20, 0.5), (30, 0.505)):
        stopping.observe(step, {"mAP": value})
        assert stopping.reason() == ""
    stopping.observe(30, {"mAP": 0.4})  # made again
    assert stopping.reason() == ""
    stopping.observe(40, {"mAP": math.nan})
    assert stopping.reason() == (
        "early stopping: mAP has not risen by more than 0.01 in 2 evaluations since 0.5000 at step 20"
    )
    assert EarlyStopping(spec(tmp_path, early_stopping_patience=0), 0).reason() == ""


def test_a_figure_and_a_direction_can_be_chosen(tmp_path):
    for settings, values, reason in (
        ({"early_stopping_figure": "validation_loss"}, (1, 2, 3), "has not fallen in 2"),
        ({"early_stopping_figure": "validation_loss"}, (3, 2, 1), ""),
        ({"early_stopping_figure": "top_1", "early_stopping_mode": "min"}, (3, 2, 1), ""),
        ({"early_stopping_figure": "top_1", "early_stopping_mode": "min"}, (1, 2, 3), "top_1"),
        ({"best_metric": "validation_loss", "early_stopping_mode": "max"}, (3, 2, 1), "risen"),
        ({}, (None, None, None), "mAP was NaN in 3 evaluations"),
    ):
        stopping = EarlyStopping(spec(tmp_path, **settings), 0)
        for step, value in enumerate(values):
            figures = {
                settings.get("early_stopping_figure") or settings.get("best_metric", "mAP"): value
            }
            stopping.observe(step, figures)
        assert bool(stopping.reason()) == bool(reason)
        assert reason in stopping.reason()


def test_a_resumed_run_counts_evaluations_up_to_its_checkpoint(tmp_path):
    lines = [
        {"kind": kind, "step": step, "figures": {"mAP": value}}
        for kind, step, value in (
            ("evaluation", 10, 0.5),
            ("loop", 12, None),
            ("evaluation", 20, 0.4),
            ("evaluation", 30, 0.3),
        )
    ]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert EarlyStopping(spec(tmp_path), 30).reason().endswith("since 0.5000 at step 10")
    stopping = EarlyStopping(spec(tmp_path), 20)
    assert stopping.reason() == ""
    stopping.observe(30, {"mAP": 0.3})
    assert stopping.reason()
    assert EarlyStopping(spec(tmp_path, early_stopping_patience=3), 30).reason() == ""


def test_a_figure_that_there_is_not_is_one_line_with_those_that_there_are():
    figures = ("mAP", "top_1", "validation_loss")
    check_figure(TrainSpec(), figures)
    check_figure(TrainSpec(early_stopping_figure="top_1"), figures)
    with pytest.raises(
        UserError, match=r"Received: 'map'\. There are: mAP, top_1, validation_loss\."
    ):
        check_figure(TrainSpec(early_stopping_figure="map"), figures)
    assert [is_lower_better("validation_loss"), is_lower_better("mAP")] == [True, False]
