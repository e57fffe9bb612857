"""The official scoring of Charades, against its rules written out as a plain loop, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from official_vision.errors import UserError
from official_vision.metrics.charades_map import CLASSES, write_submission
from official_vision.metrics.evaluation import Figures, evaluate_scores, figure_names


def officially(scores, labels):
    """mAP and weighted mAP: one video after the other, in the order of the official script."""
    precisions, weights = [], []
    for column in range(labels.shape[1]):
        if not labels[:, column].any():
            continue
        rows = sorted(
            range(len(scores)),
            key=lambda row: (-scores[row, column] if labels[row].any() else np.inf, row),
        )
        hits, total = 0, 0.0
        for seen, row in enumerate(rows, start=1):
            if labels[row, column]:
                hits += 1
                total += hits / seen
        precisions.append(total / hits)
        weights.append(hits)
    return np.mean(precisions), np.average(precisions, weights=weights)


def official_figures(scores, labels):
    figures = Figures(scores, labels, single_label=False, charades=True)
    return {name: value[0] for name, value in figures.of(np.ones((len(scores), 1)))[0].items()}


def test_the_official_figures_are_those_of_charades():
    charades = [f"c{number:03d} Doing {number}" for number in range(CLASSES)]
    others = ["c000 Doing 0", *[str(number) for number in range(1, CLASSES)]]
    scores = np.random.default_rng(0).random((3, CLASSES))
    labels = scores > 0.9
    for names, has in ((charades, True), (charades[:-1], False), (others, False)):
        values = evaluate_scores(scores[:, : len(names)], labels[:, : len(names)], names).figures
        assert ("charades_mAP" in values) == has
        assert tuple(values) == figure_names(single_label=False, charades=has)


@given(st.integers(0, 10_000), st.booleans())
def test_the_official_figures(seed, tied):
    random = np.random.default_rng(seed)
    videos, classes = random.integers(2, 30), random.integers(1, 5)
    scores = random.random((videos, classes))
    scores = np.round(scores * 3) / 3 if tied else scores
    labels = random.random((videos, classes)) < 0.3
    labels[0, 0] = True
    actual = official_figures(scores, labels)
    expected = officially(scores, labels)
    assert actual["charades_mAP"] == pytest.approx(expected[0], abs=1e-9)
    assert actual["charades_weighted_mAP"] == pytest.approx(expected[1], abs=1e-9)


def test_a_video_without_labels_is_no_false_positive():
    scores = np.array([[0.9], [0.8], [0.7]])
    labels = np.array([[0], [1], [0]])
    # scikit-learn: the first is a false positive. Officially the second ranks first: only it has labels.
    figures = official_figures(scores, labels)
    assert (figures["mAP"], figures["charades_mAP"]) == (0.5, 1.0)
    assert average_precision_score(labels[:, 0], scores[:, 0]) == 0.5


def test_equal_scores_count_in_the_order_of_the_file():
    labels = np.array([[1, 0], [0, 1], [0, 1], [1, 0]])
    figures = official_figures(np.full((4, 2), 0.5), labels)
    # "first": places 1 and 4, (1 + 2/4) / 2; "second": places 2 and 3, (1/2 + 2/3) / 2.
    assert figures["charades_mAP"] == pytest.approx((0.75 + 7 / 12) / 2)
    assert figures["mAP"] == 0.5


def test_a_submission_reads_back(tmp_path):
    names = [f"c{number:03}" for number in range(CLASSES)]
    ids, scores = ("YSKX3", "AB12C"), np.random.default_rng(0).random((2, CLASSES))
    write_submission(tmp_path / "submission.txt", ids, scores, names)
    lines = (tmp_path / "submission.txt").read_text().splitlines()
    assert [line.split(" ")[0] for line in lines] == list(ids)
    numbers = [[float(word) for word in line.split(" ")[1:]] for line in lines]
    np.testing.assert_allclose(numbers, scores, rtol=1e-8)


def test_what_is_no_submission_is_refused(tmp_path):
    path = tmp_path / "submission.txt"
    with pytest.raises(UserError, match=r"157 classes\. Received: 2"):
        write_submission(path, ["a"], np.zeros((1, 2)), ["x", "y"])
    with pytest.raises(UserError, match=r"one word\. Received: 'a b'"):
        write_submission(path, ["a b"], np.zeros((1, CLASSES)), ["x"] * CLASSES)
    assert not path.exists()
