"""Bootstrap intervals against plain resampling with scikit-learn, and what they promise."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, recall_score

from official_vision.metrics.bootstrap import bootstrap, draw_counts
from official_vision.metrics.evaluation import evaluate_scores
from official_vision.specs import EvaluationSpec

VIDEOS, CLASSES, DRAWS = 40, 3, 120  # more draws than one block has


def scored(seed, single_label=False):
    random = np.random.default_rng(seed)
    labels = random.random((VIDEOS, CLASSES)) < 0.3
    if single_label:
        labels = np.eye(CLASSES, dtype=bool)[random.integers(CLASSES, size=VIDEOS)]
    return random.normal(size=labels.shape) + 1.5 * labels, labels


def resampled(scores, labels):
    """Figures of each draw, the plain way: rows repeated, scikit-learn's functions."""
    random = np.random.default_rng(0)
    for draws in (100, 20):
        for counts in draw_counts(random, VIDEOS, draws).T:
            rows = np.repeat(np.arange(VIDEOS), counts.astype(int))
            yield scores[rows], labels[rows]


def test_intervals_are_quantiles_moved_onto_the_figure():
    scores, labels = scored(0)
    drawn = [
        np.mean([average_precision_score(y[:, c], s[:, c]) for c in range(CLASSES)])
        for s, y in resampled(scores, labels)
    ]
    exact = evaluate_scores(scores, labels, "abc").figures["mAP"]
    expected = np.quantile(drawn, [0.05, 0.95]) + exact - np.mean(drawn)
    spec = EvaluationSpec(resamples=DRAWS, confidence=0.9, seed=0)
    intervals = bootstrap(scores, labels, single_label=False, spec=spec)
    np.testing.assert_allclose(intervals.figures["mAP"], expected, atol=1e-9)
    assert (intervals.confidence, intervals.resamples) == (0.9, DRAWS)


def test_intervals_of_mean_class_accuracy():
    scores, labels = scored(1, single_label=True)
    drawn = [
        recall_score(y.argmax(1), s.argmax(1), average="macro")
        for s, y in resampled(scores, labels)
    ]
    figures = evaluate_scores(scores, labels, "abc", single_label=True).figures
    expected = np.quantile(drawn, [0.05, 0.95]) + figures["mean_class_accuracy"] - np.mean(drawn)
    spec = EvaluationSpec(resamples=DRAWS, confidence=0.9, seed=0)
    intervals = bootstrap(scores, labels, single_label=True, spec=spec)
    np.testing.assert_allclose(intervals.figures["mean_class_accuracy"], expected, atol=1e-9)
    assert set(intervals.figures) == set(figures)


def test_draws_are_as_many_videos_as_there_are():
    counts = draw_counts(np.random.default_rng(3), 50, 400)
    assert counts.shape == (50, 400)
    assert (counts.sum(axis=0) == 50).all()
    # A video is missing from a draw with probability (1 - 1/50)^50.
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)


def test_the_same_seed_gives_the_same_intervals():
    scores, labels = scored(2)
    spec = EvaluationSpec(resamples=50, seed=4)
    first, again = (bootstrap(scores, labels, single_label=False, spec=spec) for _ in range(2))
    assert first == again
    other = EvaluationSpec(resamples=50, seed=5)
    assert bootstrap(scores, labels, single_label=False, spec=other) != first


def test_a_class_without_a_positive_has_no_interval_and_a_certain_one_has_no_width():
    scores = np.array([[0.9, 0.1, 0.3], [0.8, 0.2, 0.1], [0.2, 0.3, 0.4], [0.1, 0.6, 0.2]])
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]])
    intervals = bootstrap(scores, labels, single_label=False, spec=EvaluationSpec(resamples=200))
    assert intervals.classes[:2] == ((1.0, 1.0), (1.0, 1.0))
    assert np.isnan(intervals.classes[2]).all()
    assert intervals.figures["mAP"] == (1.0, 1.0)


def test_intervals_hold_the_figure_as_often_as_they_say():
    """Over samples of one size: the mean of their mAP lies in about nine of ten 90 % intervals."""
    random = np.random.default_rng(0)

    def sample():
        labels = random.random((200, 4)) < 0.1
        return random.normal(size=labels.shape) + labels, labels

    figures = [evaluate_scores(*sample(), "abcd").figures["mAP"] for _ in range(400)]
    spec = EvaluationSpec(resamples=100, confidence=0.9)
    intervals = [
        bootstrap(*sample(), single_label=False, spec=spec).figures["mAP"] for _ in range(100)
    ]
    inside = sum(low <= np.mean(figures) <= high for low, high in intervals)
    assert 80 <= inside <= 97
