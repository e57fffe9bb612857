"""The output of an evaluation, printed and written."""

import json
import re

import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.metrics.evaluation_report import ClassChoice, Report, to_dict, to_text
from official_vision.metrics.scores import VideoScores
from official_vision.specs import EvaluationSpec


def scored(videos, classes, activation, seed=0):
    """Scores of many classes, of which the last has no video."""
    random = np.random.default_rng(seed)
    if activation == "softmax":
        labels = np.eye(classes, dtype=bool)[random.integers(classes - 1, size=videos)]
    else:
        labels = random.random((videos, classes)) < 0.1
        labels[:, -1] = False
    scores = random.random((videos, classes)) + 0.3 * labels
    names = tuple(f"class {number:03}" for number in range(classes))
    ids = tuple(f"v{number}" for number in range(videos))
    return VideoScores(ids, names, labels, scores / scores.max(), activation)


def report_of(scores, resamples=20, without=()):
    spec = EvaluationSpec(resamples=resamples, confidence=0.9)
    others = {name: scores.evaluation() for name in without}
    return Report(
        "run/ckpt-3 (step 9)", {"step": 9}, scores.evaluation(), scores.intervals(spec), others
    )


def printed_rows(text):
    """(name, AP) of the table's lines."""
    rows = re.findall(r"^(class \d{3})\s+(\S+)", text, re.M)
    return [(name, float(precision)) for name, precision in rows]


def test_classes_are_sorted_and_cut():
    report = report_of(scored(60, 157, "sigmoid"), resamples=0)
    every = printed_rows(to_text(report))
    assert len(every) == 157
    known = [precision for _, precision in every if np.isfinite(precision)]
    assert known == sorted(known, reverse=True)
    unknown = [name for name, precision in every[len(known) :] if np.isnan(precision)]
    assert "class 156" in unknown
    assert len(known) + len(unknown) == 157
    worst = printed_rows(to_text(report, ClassChoice.parse("worst:20")))
    assert [precision for _, precision in worst] == sorted(known)[:20]
    best = printed_rows(to_text(report, ClassChoice.parse("best:3")))
    assert best == every[:3]
    none = to_text(report, ClassChoice.parse("none"))
    assert printed_rows(none) == []
    assert f"mAP {report.evaluation.figures['mAP']:.4f}" in none


@pytest.mark.parametrize("text", ["worst", "worst:", "best:-1", "20", "worst:2.5", ""])
def test_a_choice_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="all, none, best:N or worst:N"):
        ClassChoice.parse(text)


def test_a_row_holds_its_numbers():
    report = report_of(scored(60, 5, "sigmoid"), without=("rgb",))
    text = to_text(report)
    for row, (low, high) in zip(
        report.evaluation.classes[:4], report.intervals.classes, strict=False
    ):
        line = next(line for line in text.splitlines() if line.startswith(row.name))
        words = line.removeprefix(row.name).split()
        expected = [row.average_precision, low, high, row.base_rate, row.positives]
        shown = [float(word) for word in words if word != "to"]
        np.testing.assert_allclose(shown, expected, atol=5e-4)
    low, high = report.intervals.figures["mAP"]
    assert f"{report.evaluation.figures['mAP']:.4f}  {low:.4f} to {high:.4f}" in text
    assert "90 % interval over videos" in text
    assert "rgb +0.0000" in text


def test_columns_are_below_their_heads():
    for activation in ("sigmoid", "softmax"):
        for resamples in (0, 20):
            lines = to_text(report_of(scored(60, 5, activation), resamples)).splitlines()
            head = next(n for n, line in enumerate(lines) if line.startswith("class "))
            rows = [line for line in lines[head + 1 : head + 6] if line.startswith("class 0")]
            assert len(rows) == 5
            assert {len(line) for line in rows} == {len(lines[head])}


def test_confusions_are_a_matrix_of_few_classes_and_a_list_of_many():
    few = scored(60, 5, "softmax")
    counts = few.evaluation().confusion
    text = to_text(report_of(few, resamples=0))
    for name, row in zip(few.classes, counts, strict=True):
        assert re.search(rf"^{name} +{' +'.join(map(str, row))}$", text, re.M)
    many = scored(400, 40, "softmax")
    counts = many.evaluation().confusion
    mistakes = counts - np.diag(np.diag(counts))
    text = to_text(report_of(many, resamples=0), ClassChoice.parse("none"))
    true, taken = np.unravel_index(mistakes.argmax(), mistakes.shape)
    assert f"{mistakes.max()}  {many.classes[true]} taken for {many.classes[taken]}" in text
    assert text.count("taken for") == 10


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_json_holds_everything(activation):
    report = report_of(scored(60, 5, activation), without=("flow",))
    values = json.loads(json.dumps(to_dict(report), allow_nan=False))
    evaluation = report.evaluation
    assert values["step"] == 9
    assert values["videos"] == 60
    for name, value in evaluation.figures.items():
        assert values[name] == value
        assert values["intervals"][name] == list(report.intervals.figures[name])
    assert [row["name"] for row in values["classes"]] == list(scored(1, 5, activation).classes)
    assert values["classes"][-1]["average_precision"] is None
    assert values["classes"][-1]["interval"] is None
    assert values["without"]["flow"]["mAP"] == evaluation.figures["mAP"]
    if activation == "softmax":
        assert values["confusion"] == evaluation.confusion.tolist()
        assert values["classes"][0]["accuracy"] == evaluation.classes[0].accuracy
    else:
        assert "confusion" not in values
        assert "accuracy" not in values["classes"][0]
