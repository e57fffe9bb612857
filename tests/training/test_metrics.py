"""Figures of merit against scikit-learn and by hand."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from official_vision.training.metrics import (
    average_precision,
    evaluate_scores,
    pool_views,
    top_k_accuracy,
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
    found = [row.average_precision for row in evaluation.classes if row.positives]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    if expected:
        assert evaluation.figures["mAP"] == pytest.approx(np.mean(expected), abs=1e-6)
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
    assert top_k_accuracy(scores, labels, 1) == pytest.approx(1 / 3)
    assert top_k_accuracy(scores, labels, 2) == pytest.approx(1)
    assert top_k_accuracy(scores, labels, 5) == pytest.approx(1)  # more than there are classes


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
    st.sampled_from(["mean", "max"]),
    st.integers(0, 1000),
)
def test_views_merge_video_by_video(videos, pooling, seed):
    random = np.random.default_rng(seed)
    videos = np.array(videos)
    scores = random.uniform(size=(len(videos), 3)).astype(np.float32)
    labels = random.integers(0, 2, (len(videos), 3)).astype(np.float32)
    merged, merged_labels, numbers = pool_views(scores, labels, videos, pooling)
    assert numbers.tolist() == sorted(set(videos.tolist()))
    for row, number in enumerate(numbers):
        own = scores[videos == number]
        expected = own.mean(axis=0) if pooling == "mean" else own.max(axis=0)
        np.testing.assert_allclose(merged[row], expected, rtol=1e-6)
        assert merged_labels[row].tolist() == labels[videos == number].max(axis=0).tolist()


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
