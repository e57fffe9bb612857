"""Scores sorted by video, however many replicas gathered them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.errors import UserError
from official_vision.metrics.scores import VideoScores, collect
from official_vision.specs import EvaluationSpec

IDS = ("v0", "v1", "v2", "v3")
CLASSES = ("a", "b")


def rows_of(videos, seed=0):
    """Gathered rows of those videos, in that order; -1 is a filling row."""
    random = np.random.default_rng(seed)
    videos = np.asarray(videos)
    return {
        "logits": random.normal(size=(len(videos), 2)).astype(np.float32),
        "labels": (random.random((len(videos), 2)) < 0.5).astype(np.float32),
        "mask": (videos >= 0).astype(np.float32),
        "video": np.maximum(videos, 0).astype(np.int32),
    }


def test_filling_is_dropped_and_clips_keep_their_order():
    gathered = rows_of([2, 0, 2, -1, 0, 3, -1])
    scores = collect(gathered, IDS, CLASSES, "sigmoid", {"step": 3})
    assert scores.ids == ("v0", "v2", "v3")  # v1 has no clip
    assert scores.owner.tolist() == [0, 0, 1, 1, 2]
    np.testing.assert_array_equal(scores.logits, gathered["logits"][[1, 4, 0, 2, 5]])
    union = np.maximum(gathered["labels"][0], gathered["labels"][2]) > 0
    assert scores.labels[1].tolist() == union.tolist()
    assert scores.provenance == {"step": 3}


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 1000))
def test_replicas_don_t_change_a_score(videos, clips, replicas, seed):
    """Rows dealt out to replicas batch by batch and filled up, as data/input/pipeline.py does."""
    whole = rows_of(np.repeat(np.arange(videos), clips), seed)
    one = collect(whole, IDS, CLASSES, "softmax").pooled(EvaluationSpec())
    count = len(whole["mask"])
    filling = -count % (2 * replicas)
    filled = {
        name: np.concatenate([rows, np.zeros((filling, *rows.shape[1:]), rows.dtype)])
        for name, rows in whole.items()
    }
    dealt = np.arange(count + filling).reshape(-1, replicas, 2)
    gathered = {name: rows[dealt.ravel()] for name, rows in filled.items()}
    many = collect(gathered, IDS, CLASSES, "softmax").pooled(EvaluationSpec())
    assert many.ids == one.ids
    np.testing.assert_array_equal(many.scores, one.scores)
    np.testing.assert_array_equal(many.labels, one.labels)


def test_only_one_label_a_video_has_confusions_and_intervals_are_left_out_when_not_wanted():
    labels, scores = np.eye(2, dtype=bool), np.array([[0.7, 0.3], [0.6, 0.4]])
    one = VideoScores(("x", "y"), CLASSES, labels, scores, "softmax")
    several = VideoScores(("x", "y"), CLASSES, labels, scores, "sigmoid")
    assert one.evaluation().confusion.tolist() == [[1, 0], [1, 0]]
    assert several.evaluation().confusion is None
    assert several.intervals(EvaluationSpec(resamples=0)) is None
    assert "weighted_mAP" in several.intervals(EvaluationSpec(resamples=5)).figures
    assert "charades_mAP" not in several.intervals(EvaluationSpec(resamples=5)).figures


def test_a_clip_that_is_no_number_is_named():
    gathered = rows_of([0, 1, 1])
    gathered["logits"][2, 0] = np.nan
    scores = collect(gathered, IDS, CLASSES, "sigmoid").pooled(EvaluationSpec())
    with pytest.raises(UserError, match="for 1 of 2 videos, the first in row 1"):
        scores.evaluation()


@pytest.mark.parametrize(
    ("settings", "videos", "words"),
    [
        ({}, [0, 1], "1 clip per video"),
        ({}, [0, 0, 1, 1], "mean of 2 clips per video"),
        ({"pooling": "max"}, [0, 0, 0, 1, 1], "max of 2.5 clips per video"),
        (
            {"pooling": "top_k", "top_k": 2, "pooled_values": "logits"},
            [0] * 3,
            "mean of the top 2 of logits of 3 clips per video",
        ),
    ],
)
def test_the_pooling_is_reported(settings, videos, words):
    scores = collect(rows_of(videos), IDS, CLASSES, "sigmoid")
    assert scores.pooled_as(EvaluationSpec(**settings)) == words
