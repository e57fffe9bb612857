"""Bands of classes by frequency, and their figures against means by hand."""

import numpy as np
import pytest

from official_vision.metrics.class_bands import class_bands
from official_vision.metrics.evaluation import average_precision, evaluate_scores, figure_names
from official_vision.metrics.evaluation_report import Report, to_dict, to_text
from official_vision.metrics.scores import VideoScores
from official_vision.specs import EvaluationSpec

COUNTS = (3, 90, 40, 3, 8, 41, 0)
RANDOM = np.random.default_rng(0)
LABELS = np.eye(7, dtype=bool)[np.arange(60) % 7]
SCORES = RANDOM.dirichlet(np.ones(7), 60) + 0.3 * LABELS * RANDOM.random((60, 1))
NAMES = tuple("abcdefg")
IDS = tuple(f"v{number}" for number in range(60))


def test_thirds_by_training_videos():
    bands = class_bands(COUNTS)
    assert [(b.name, b.classes, b.fewest, b.most) for b in bands] == [
        ("head", (1, 5, 2), 40, 90),
        ("middle", (4, 0), 3, 8),
        ("tail", (3, 6), 0, 3),
    ]


@pytest.mark.parametrize("counts", [(), (1, 100), (10, 50, 99), (0, 9, 9)])
def test_no_bands_of_few_or_about_equally_frequent_classes(counts):
    assert class_bands(counts) == ()
    assert class_bands((10, 50, 100)) != ()


@pytest.mark.parametrize("single_label", [True, False])
def test_figures_are_means_over_a_band(single_label):
    evaluation = evaluate_scores(
        SCORES, LABELS, NAMES, single_label=single_label, bands=class_bands(COUNTS)
    )
    assert tuple(evaluation.figures) == figure_names(single_label=single_label, banded=True)
    precision = [average_precision(SCORES[:, c], LABELS[:, c]) for c in range(7)]
    recall = [(SCORES[LABELS[:, c]].argmax(axis=1) == c).mean() for c in range(7)]
    for name, classes in (("head", (1, 5, 2)), ("middle", (4, 0)), ("tail", (3, 6))):
        mean = np.mean([precision[c] for c in classes])
        assert evaluation.figures[f"mAP_{name}"] == pytest.approx(mean)
        if single_label:
            mean = np.mean([recall[c] for c in classes])
            assert evaluation.figures[f"mean_class_accuracy_{name}"] == pytest.approx(mean)


def test_report_says_what_a_band_is_and_how_sure_its_figures_are():
    scored = VideoScores(IDS, NAMES, LABELS, SCORES / SCORES.max(), "softmax", COUNTS)
    report = Report("x", {}, scored.evaluation(), scored.intervals(EvaluationSpec(resamples=50)))
    text, values = to_text(report), to_dict(report)
    assert "tail: 2 classes, of 0 to 3 training videos each" in text
    assert "mean class accuracy tail  " in text
    low, high = values["intervals"]["mAP_tail"]
    assert 0 <= low < values["mAP_tail"] < high <= 1
    assert values["bands"][0]["classes"] == (1, 5, 2)
