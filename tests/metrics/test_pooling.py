"""Pooling of clips, against plain loops, and probabilities against a second formula."""

import dataclasses
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.metrics.pooling import pool_labels, pool_logits, probabilities
from official_vision.specs import EvaluationSpec

EXTREME = np.array([[-1000.0, 0.0, 1000.0], [30.0, 31.0, -31.0]])


def sigmoid(values):
    """By decimal arithmetic, whose exponents don't end at 308."""
    odds = [Decimal(float(value)).exp() for value in np.ravel(values)]
    return np.reshape([float(odd / (1 + odd)) for odd in odds], np.shape(values))


def softmax(values):
    odds = [Decimal(float(value)).exp() for value in values]
    return np.array([float(odd / sum(odds)) for odd in odds])


def test_probabilities_are_right_and_never_overflow():
    with np.errstate(over="raise"):
        np.testing.assert_allclose(probabilities(EXTREME, "sigmoid"), sigmoid(EXTREME))
        np.testing.assert_allclose(
            probabilities(EXTREME, "softmax"), [softmax(row) for row in EXTREME], atol=1e-300
        )


def test_logits_that_differ_give_probabilities_that_differ():
    # In float32 both would be 1, and average precision would take them for a tie.
    first, second = probabilities(np.float32([20.0, 21.0]), "sigmoid")
    assert first < second


def by_loop(logits, owner, activation, spec):
    link = sigmoid if activation == "sigmoid" else softmax
    rows = []
    for video in range(owner.max() + 1):
        clips = [
            row for row, video_of_row in zip(logits, owner, strict=True) if video_of_row == video
        ]
        values = np.stack(clips if spec.pooled_values == "logits" else [link(c) for c in clips])
        columns = []
        for column in values.T:
            greatest = sorted(column, reverse=True)
            pooled_rows = {"mean": greatest, "max": greatest[:1], "top_k": greatest[: spec.top_k]}
            columns.append(sum(pooled_rows[spec.pooling]) / len(pooled_rows[spec.pooling]))
        pooled = np.array(columns)
        rows.append(link(pooled) if spec.pooled_values == "logits" else pooled)
    return np.stack(rows)


@given(
    st.sampled_from(["mean", "max", "top_k"]),
    st.sampled_from(["probabilities", "logits"]),
    st.sampled_from(["sigmoid", "softmax"]),
    st.integers(0, 10_000),
)
def test_a_videos_clips_are_merged(pooling, pooled_values, activation, seed):
    random = np.random.default_rng(seed)
    videos = random.integers(1, 6)
    owner = np.append(np.arange(videos), random.integers(videos, size=random.integers(0, 15)))
    owner = random.permutation(owner)
    logits = random.normal(0, 3, (len(owner), 4)).astype(np.float32)
    spec = EvaluationSpec(pooling=pooling, pooled_values=pooled_values, top_k=2)
    expected = by_loop(logits.astype(np.float64), owner, activation, spec)
    np.testing.assert_allclose(pool_logits(logits, owner, activation, spec), expected, rtol=1e-9)


def test_the_settings_differ():
    """One clip is sure, two are not: each way of pooling gives another number."""
    logits, owner = np.array([[4.0], [-1.0], [-2.0]]), np.zeros(3, int)
    p = sigmoid(logits[:, 0])
    scores_by_rule = {
        (pooling, values): pool_logits(
            logits, owner, "sigmoid", EvaluationSpec(pooling=pooling, pooled_values=values, top_k=2)
        ).item()
        for pooling in ("mean", "max", "top_k")
        for values in ("probabilities", "logits")
    }
    assert scores_by_rule["mean", "probabilities"] == pytest.approx(p.mean())
    assert scores_by_rule["mean", "logits"] == pytest.approx(sigmoid(1 / 3))
    assert (
        scores_by_rule["max", "probabilities"]
        == scores_by_rule["max", "logits"]
        == pytest.approx(p[0])
    )
    assert scores_by_rule["top_k", "probabilities"] == pytest.approx(p[:2].mean())
    assert scores_by_rule["top_k", "logits"] == pytest.approx(sigmoid(1.5))


def test_fewer_clips_than_top_k_are_all_taken():
    spec = EvaluationSpec(pooling="top_k", top_k=9)
    logits, owner = np.random.default_rng(0).normal(size=(7, 2)), np.array([0, 0, 1, 1, 1, 1, 1])
    mean = dataclasses.replace(spec, pooling="mean")
    np.testing.assert_allclose(
        pool_logits(logits, owner, "softmax", spec), pool_logits(logits, owner, "softmax", mean)
    )


def test_labels_are_the_union():
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]])
    assert pool_labels(labels, np.array([0, 0, 1])).tolist() == [[True, False, True], [False] * 3]
