"""Figures of merit against scikit-learn and by hand."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
import tf_keras
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.metrics import average_precision_score

from official_vision.errors import UserError
from official_vision.metrics.evaluation import (
    average_precision,
    confusion_matrix,
    evaluate_scores,
    figure_names,
    right_within,
)

# Few distinct values, so that ties are the rule.
TIED = st.integers(0, 4).map(lambda value: value / 4)


@st.composite
def scored(draw, elements):
    count, classes = draw(st.integers(1, 30)), draw(st.integers(1, 4))
    scores = draw(arrays.arrays(np.float64, (count, classes), elements=elements))
    labels = draw(arrays.arrays(np.float32, (count, classes), elements=st.sampled_from([0.0, 1.0])))
    return scores, labels


@given(scored(TIED) | scored(st.floats(0, 1)))
def test_average_precision_is_scikit_learns(drawn):
    scores, labels = drawn
    expected = [
        average_precision_score(labels[:, c], scores[:, c])
        for c in range(labels.shape[1])
        if labels[:, c].any()
    ]
    names = [f"class {c}" for c in range(labels.shape[1])]
    evaluation = evaluate_scores(scores, labels, names)
    actual = [row.average_precision for row in evaluation.classes if row.positives]
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    if expected:
        assert evaluation.figures["mAP"] == pytest.approx(np.mean(expected), abs=1e-6)
        known = labels.any(axis=0)
        weighted = average_precision_score(labels[:, known], scores[:, known], average="weighted")
        assert evaluation.figures["weighted_mAP"] == pytest.approx(weighted, abs=1e-6)
    else:
        assert np.isnan(evaluation.figures["mAP"])


@given(scored(TIED), st.randoms(use_true_random=False))
def test_order_of_clips_does_not_matter(drawn, random):
    scores, labels = drawn
    order = list(range(len(scores)))
    random.shuffle(order)
    before = average_precision(scores[:, 0], labels[:, 0])
    after = average_precision(scores[order, 0], labels[order, 0])
    np.testing.assert_allclose(before, after, atol=1e-12)  # equal when both are NaN


def test_average_precision_by_hand():
    # Ranks of the positives: 1 and 3; precision there 1/1 and 2/3.
    assert average_precision(np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0])) == (
        pytest.approx((1 + 2 / 3) / 2)
    )
    # All tied: the base rate, however the clips are ordered.
    assert average_precision(np.full(4, 0.5), np.array([1, 0, 0, 0])) == pytest.approx(0.25)
    assert np.isnan(average_precision(np.array([0.3]), np.array([0])))


def test_top_k_by_hand():
    scores = np.array([[0.1, 0.5, 0.4], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    labels = np.array([[0, 0, 1], [1, 0, 0], [1, 1, 0]], np.float32)
    assert right_within(scores, labels, 1).tolist() == [False, True, False]
    assert right_within(scores, labels, 2).tolist() == [True, True, True]
    assert right_within(scores, labels, 5).all()  # more than there are classes
    # Equal scores: the earlier class is taken. Without labels nothing is right.
    tied = np.full((3, 3), 0.5)
    assert right_within(tied, np.eye(3), 1).tolist() == [True, False, False]
    assert not right_within(scores, np.zeros((3, 3)), 3).any()


def test_the_table():
    scores = np.array([[0.9, 0.1, 0.2], [0.8, 0.7, 0.1], [0.3, 0.6, 0.4], [0.1, 0.2, 0.3]])
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)
    evaluation = evaluate_scores(scores, labels, ("a", "b", "never"))
    assert [(row.name, row.positives, row.base_rate) for row in evaluation.classes] == [
        ("a", 2, 0.5),
        ("b", 1, 0.25),
        ("never", 0, 0.0),
    ]
    assert [row.average_precision for row in evaluation.classes[:2]] == [1.0, 0.5]
    assert evaluation.figures["mAP"] == 0.75  # the class without a positive is left out
    assert evaluation.figures["top_1"] == 0.75  # all but clip 3, which has no label
    assert evaluation.videos == 4
    assert evaluation.confusion is None
    assert tuple(evaluation.figures) == figure_names(single_label=False)
    # Two positives of "a" at 1, one of "b" at 0.5.
    assert evaluation.figures["weighted_mAP"] == pytest.approx((2 * 1 + 1 * 0.5) / 3)


@pytest.mark.filterwarnings("ignore:A single label")
@given(scored(TIED), st.integers(0, 100))
def test_one_label_a_video_is_as_scikit_learn_counts(drawn, seed):
    scores, _ = drawn
    classes = scores.shape[1]
    truth = np.random.default_rng(seed).integers(classes, size=len(scores))
    names = [f"class {c}" for c in range(classes)]
    evaluation = evaluate_scores(scores, np.eye(classes)[truth], names, single_label=True)
    predicted = scores.argmax(axis=1)
    expected = reference.confusion_matrix(truth, predicted, labels=range(classes))
    assert evaluation.confusion.tolist() == expected.tolist()
    present = sorted(set(truth.tolist()))
    recalls = reference.recall_score(truth, predicted, labels=present, average=None)
    np.testing.assert_allclose([evaluation.classes[c].accuracy for c in present], recalls)
    assert evaluation.figures["mean_class_accuracy"] == pytest.approx(recalls.mean())
    assert evaluation.figures["top_1"] == pytest.approx(reference.accuracy_score(truth, predicted))
    assert tuple(evaluation.figures) == figure_names(single_label=True)


def test_a_rare_class_weighs_as_much_as_a_common_one():
    # Nine of "a", all right; one of "b", wrong: Smarthome's figure is their mean.
    scores = np.tile([0.9, 0.1], (10, 1))
    labels = np.eye(2)[[0] * 9 + [1]]
    figures = evaluate_scores(scores, labels, "ab", single_label=True).figures
    assert figures["mean_class_accuracy"] == 0.5
    assert figures["top_1"] == 0.9


def test_a_video_without_a_label_is_no_confusion():
    scores = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert confusion_matrix(scores, np.array([[0, 0], [0, 1]])).tolist() == [[0, 0], [1, 0]]


def test_scores_that_are_no_numbers_are_refused():
    scores = np.array([[0.1, 0.2], [np.nan, 0.3], [0.1, np.nan]])
    with pytest.raises(UserError, match="for 2 of 3 videos, the first in row 1") as raised:
        evaluate_scores(scores, np.eye(3)[:, :2], "ab")
    assert "\n" not in str(raised.value)


def test_average_precision_is_exact_where_a_binned_one_is_not():
    """Scores of many classes crowd near 0, where Keras's 200 thresholds see no difference."""
    random = np.random.default_rng(0)
    positives = random.random(500) < 0.1
    scores = np.where(positives, 0.0006, 0.0003) * random.random(500)
    exact = average_precision_score(positives, scores)
    assert average_precision(scores, positives) == pytest.approx(exact, abs=1e-6)
    binned = tf_keras.metrics.AUC(curve="PR")
    binned.update_state(positives, scores)
    assert abs(float(binned.result()) - exact) > 0.05
