"""Smooth scores and the segments that are made of them, against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.errors import UserError
from official_vision.metrics.localisation.windows import smoothed
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.segments import Segment, segments


def rule(threshold, hysteresis=0.0, shortest_sec=0.0):
    return PredictOptions(threshold=threshold, hysteresis=hysteresis, shortest_sec=shortest_sec)


def test_segments_are_the_runs_above_the_threshold():
    scores = np.array([[0.6, 0.0], [0.7, 0.5], [0.1, 0.9], [0.5, 0.2]])
    times = np.array([0.0, 1.0, 2.5, 3.0, 4.0])
    assert segments(scores, times, ["a", "b"], rule(0.5)) == [
        Segment("b", 1.0, 3.0, 0.9),
        Segment("a", 0.0, 2.5, 0.7),
        Segment("a", 3.0, 4.0, 0.5),
    ]


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), min_size=1, max_size=20),
    st.floats(0, 1),
    st.floats(0, 0.5),
    st.floats(0, 0.3),
)
def test_segments_are_those_of_a_search_frame_by_frame(scores, threshold, hysteresis, shortest):
    scores = np.array(scores)
    times = np.arange(len(scores) + 1) / 25
    result = segments(scores, times, ["a", "b"], rule(threshold, hysteresis, shortest))
    expected = []
    for column, label in enumerate(["a", "b"]):
        run = []
        for frame in range(len(scores) + 1):
            if frame < len(scores) and scores[frame, column] >= threshold - hysteresis:
                run.append(frame)
                continue
            lasts = len(run) / 25 >= shortest - 1e-6 or len(run) == len(scores)
            if run and lasts and scores[run, column].max() >= threshold:
                expected.append((label, times[run[0]], times[run[-1] + 1]))
            run = []
    assert sorted((s.label, s.start_sec, s.end_sec) for s in result) == sorted(expected)
    assert [s.score for s in result] == sorted((s.score for s in result), reverse=True)


def test_a_score_that_wavers_about_the_threshold_is_one_segment():
    wavering = 0.5 + 0.04 * (-1.0) ** np.arange(100)
    times = np.arange(101) / 10
    assert len(segments(wavering[:, np.newaxis], times, ["a"], rule(0.5))) == 50
    usual = segments(wavering[:, np.newaxis], times, ["a"], PredictOptions())
    assert usual == [Segment("a", 0.0, 10.0, pytest.approx(0.54))]


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_at_either_end(threshold):
    actual = segments(np.array([[0.0], [1.0]]), np.array([0.0, 1.0, 2.0]), ["a"], rule(threshold))
    assert actual == [Segment("a", 0.0 if threshold == 0 else 1.0, 2.0, 1.0)]


def test_smoothing_averages_over_time_also_where_frames_last_unequally():
    """Against a mean over a fine grid of times."""
    generator = np.random.default_rng(0)
    durations = generator.uniform(0.02, 0.4, 30)
    times = np.concatenate([[0], np.cumsum(durations)])
    scores = generator.uniform(size=(30, 2))
    grid = (np.arange(200_000) + 0.5) / 200_000 * times[-1]
    shown = scores[np.searchsorted(times, grid, side="right") - 1]
    expected = []
    for start, duration in zip(times, durations, strict=False):
        reach = max(0.3, duration) / 2
        expected.append(shown[np.abs(grid - start - duration / 2) <= reach].mean(axis=0))
    np.testing.assert_allclose(smoothed(scores, times, 0.3), expected, atol=2e-3)
    np.testing.assert_allclose(smoothed(scores, times, 0.001), scores, atol=1e-6)
    assert smoothed(scores, times, 0) is scores
    np.testing.assert_allclose(smoothed(np.full((30, 1), 0.3), times, 5), 0.3, rtol=1e-6)


def test_settings_that_mean_nothing_are_refused():
    for settings, message in (
        ({"pooling": "median"}, r"mean, max\. Received: 'median'"),
        ({"merge": "clips"}, r"windows, frames\. Received: 'clips'"),
        ({"hysteresis": -0.1}, r"hysteresis must be 0 or more. Received: -0\.1"),
        ({"smoothing_sec": float("nan")}, "smoothing_sec must be"),
    ):
        with pytest.raises(UserError, match=message):
            PredictOptions(**settings)
