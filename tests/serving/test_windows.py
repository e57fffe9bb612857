"""Cutting a video into windows and merging their scores again, against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.serving.windows import ScoreMerger, Segment, segments, windows

cuts = st.integers(1, 9).flatmap(
    lambda length: st.tuples(st.integers(0, 40), st.just(length), st.integers(1, length))
)


@given(cuts)
def test_windows_are_those_of_a_list_in_hand(cut):
    count, length, stride = cut
    starts = list(range(0, max(count - length, 0) + 1, stride)) if count else []
    if count > length and starts[-1] + length < count:
        starts.append(count - length)
    expected = [(start, list(range(start, min(start + length, count)))) for start in starts]
    assert list(windows(range(count), length, stride)) == expected


@given(cuts)
def test_every_item_is_covered_and_the_last_window_ends_with_the_last_item(cut):
    count, length, stride = cut
    found = list(windows(iter(range(count)), length, stride))
    assert {item for _, items in found for item in items} == set(range(count))
    if count:
        assert found[-1][1][-1] == count - 1
    assert all(len(items) == min(length, count) for _, items in found)


@given(cuts)
def test_a_window_comes_as_soon_as_its_last_item_is_read(cut):
    """So nothing is read ahead, and nothing but the window need be held."""
    count, length, stride = cut
    read = []
    for start, items in windows((read.append(i) or i for i in range(count)), length, stride):
        assert len(read) == start + len(items)


def test_a_window_handed_out_is_not_changed_afterwards():
    kept = [items for _, items in windows(range(6), 3, 1)]
    assert kept == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1, width=32)), min_size=1, max_size=8),
        max_size=6,
    ),
    st.integers(0, 5),
)
def test_scores_are_averaged_over_all_windows_that_hold_a_frame(rows, unscored):
    rows = [[(0, 0.25)], *rows]  # the first frame of a video is always scored
    merger, given_to = ScoreMerger(2), {}
    for window in rows:
        frames = np.array([frame for frame, _ in window])
        scores = np.array([[score, 1 - score] for _, score in window])
        merger.add(frames, scores)
        for frame, score in window:
            given_to.setdefault(frame, []).append(score)
    num_frames = max(given_to) + 1 + unscored
    expected, last = [], None
    for frame in range(num_frames):
        last = np.mean(given_to[frame]) if frame in given_to else last
        expected.append([last, 1 - last])
    merged = merger.scores(num_frames)
    assert merged.shape == (num_frames, 2)
    np.testing.assert_allclose(merged, expected, atol=1e-6)


def test_merging_a_long_video_copies_its_scores_a_few_times_only(monkeypatch):
    copied = []
    pad = np.pad

    def noted(array, *args):
        copied.append(array.size)
        return pad(array, *args)

    monkeypatch.setattr("official_vision.serving.windows.np.pad", noted)
    merger, frames = ScoreMerger(3), 4000
    for start in range(0, frames, 2):
        merger.add(np.arange(start, start + 2), np.ones((2, 3)))
    assert sum(copied) <= 2 * frames * (3 + 1)
    np.testing.assert_array_equal(merger.scores(frames), np.ones((frames, 3)))


def test_segments_are_the_runs_above_the_threshold():
    scores = np.array([[0.6, 0.0], [0.7, 0.5], [0.1, 0.9], [0.5, 0.2]])
    times = np.array([0.0, 1.0, 2.5, 3.0, 4.0])
    assert segments(scores, times, ["a", "b"], 0.5) == [
        Segment("b", 1.0, 3.0, 0.9),
        Segment("a", 0.0, 2.5, 0.7),
        Segment("a", 3.0, 4.0, 0.5),
    ]


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), min_size=1, max_size=20),
    st.floats(0, 1),
)
def test_segments_tell_frame_by_frame_what_is_above_the_threshold(scores, threshold):
    scores = np.array(scores)
    times = np.arange(len(scores) + 1) / 25
    found = segments(scores, times, ["a", "b"], threshold)
    for column, label in enumerate(["a", "b"]):
        own = [segment for segment in found if segment.label == label]
        middle = (times[:-1] + times[1:]) / 2
        inside = [any(s.start_sec < t < s.end_sec for s in own) for t in middle]
        np.testing.assert_array_equal(inside, scores[:, column] >= threshold)
        # Runs are whole: no segment ends where another of its class begins.
        assert not {s.start_sec for s in own} & {s.end_sec for s in own}
    assert [s.score for s in found] == sorted((s.score for s in found), reverse=True)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_at_either_end(threshold):
    found = segments(np.array([[0.0], [1.0]]), np.array([0.0, 1.0, 2.0]), ["a"], threshold)
    assert found == [Segment("a", 0.0 if threshold == 0 else 1.0, 2.0, 1.0)]
