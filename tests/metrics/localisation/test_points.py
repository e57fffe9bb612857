"""Charades' official localisation against its script's loops, on anything that an annotation may state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.errors import UserError
from official_vision.metrics.localisation.points import judge_points, point_labels
from official_vision.metrics.localisation.result import judge_submission

CLASSES = 3


def officially(truth, submitted):
    """Mean and weighted mean of AP, point by point as in Charades_v1_localize.m; frames count from 1."""
    rows = []
    for video, length, actions in truth:
        for j in range(1, 26):
            point = (j - 1) / 25 * length
            shown = {c for c, start, end in actions if start <= point and point <= end}
            rows.append((shown, submitted.get((video, j), [-np.inf] * CLASSES)))
    precisions, positives = [], []
    for number in range(CLASSES):
        order = sorted(range(len(rows)), key=lambda row: -rows[row][1][number])  # stable
        hits, total = 0, 0.0
        for place, row in enumerate(order, start=1):
            if number in rows[row][0]:
                hits += 1
                total += hits / place
        if hits:
            precisions.append(total / hits)
            positives.append(hits)
    if not positives:
        return np.nan, np.nan
    return np.mean(precisions), np.average(precisions, weights=positives)


# Lengths of which points are exact in binary lie on borders; ends may come before starts and behind the video.
LENGTHS = st.one_of(st.sampled_from([25.0, 12.5, 50.0]), st.floats(0.1, 40))
ACTIONS = st.lists(
    st.tuples(
        st.integers(0, CLASSES - 1),
        st.one_of(st.integers(-2, 60).map(float), st.floats(-2, 60)),
        st.one_of(st.integers(-2, 60).map(float), st.floats(-2, 60)),
    ),
    max_size=4,
)


@given(
    st.lists(st.tuples(LENGTHS, ACTIONS), min_size=1, max_size=4),
    st.integers(0, 10_000),
    st.booleans(),
    st.sets(st.integers(0, 3)),
)
def test_the_official_figures(videos, seed, tied, missing):
    truth = [(f"v{n}", length, actions) for n, (length, actions) in enumerate(videos)]
    scores = np.random.default_rng(seed).random((len(videos), 25, CLASSES))
    scores = np.round(scores * 2) / 2 if tied else scores
    given_scores = {f"v{n}": scores[n] for n in range(len(videos)) if n not in missing}
    submitted = {(v, j + 1): row for v, rows in given_scores.items() for j, row in enumerate(rows)}
    judged = judge_points(truth, given_scores, CLASSES)
    expected = officially(truth, submitted)
    np.testing.assert_allclose((judged.mean, judged.weighted_mean), expected, atol=1e-9)
    assert judged.rows == 25 * len(videos)


def test_points_on_borders_count_and_the_end_of_the_video_has_none():
    """25 s: points at 0, 1, ... 24."""
    labels = point_labels(25.0, [(0, 3.0, 5.0), (1, 24.5, 30.0), (2, 24.0, 99.0)], CLASSES)
    assert np.flatnonzero(labels[:, 0]).tolist() == [3, 4, 5]
    assert not labels[:, 1].any()
    assert np.flatnonzero(labels[:, 2]).tolist() == [24]
    assert not point_labels(25.0, [(0, 5.0, 3.0)], CLASSES).any()


def test_a_video_without_actions_has_false_positives():
    """Other than in classification."""
    scores = {"empty": np.full((25, 1), 0.9), "full": np.full((25, 1), 0.1)}
    truth = [("empty", 10.0, ()), ("full", 10.0, ((0, 0.0, 10.0),))]
    expected = np.mean([hit / (25 + hit) for hit in range(1, 26)])
    assert judge_points(truth, scores, 1).mean == pytest.approx(expected)


def test_videos_that_lack_are_counted_and_scores_are_numbers():
    truth = [("a", 10.0, ((0, 0.0, 10.0),)), ("b", 10.0, ())]
    judged = judge_submission(truth, {"a": np.zeros((25, 1)), "other": np.zeros((25, 1))}, ["run"])
    assert (judged.videos, judged.missing, judged.points.mean) == (2, 1, 1.0)
    assert judged.lines() == [
        "localisation, 25 points per video   mAP 1.0000   weighted mAP 1.0000",
        "1 of 2 videos have no scores and rank behind all others",
    ]
    values = judged.to_dict()
    assert (values["localisation_mAP"], values["localisation_rows"]) == (1.0, 50)
    assert values["classes"] == [{"name": "run", "localisation_precision": 1.0}]
    with pytest.raises(UserError, match="not a number"):
        judge_submission(truth, {"a": np.full((25, 1), np.nan)}, ["run"])
