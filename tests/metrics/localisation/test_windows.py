"""Cutting a video into windows and merging their scores again, against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from official_vision.metrics.localisation.windows import (
    ScoreMerger,
    centre_weights,
    window_starts,
    windows,
)

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
    assert window_starts(count, length, stride) == [start for start, _ in expected]


@given(cuts)
def test_every_item_is_covered_and_the_last_window_ends_with_the_last_item(cut):
    count, length, stride = cut
    covered = list(windows(iter(range(count)), length, stride))
    assert {item for _, items in covered for item in items} == set(range(count))
    if count:
        assert covered[-1][1][-1] == count - 1
    assert all(len(items) == min(length, count) for _, items in covered)


@given(cuts)
def test_a_window_comes_as_soon_as_its_last_item_is_read(cut):
    """So nothing is read ahead, and only the window need be in memory."""
    count, length, stride = cut
    read = []
    for start, items in windows((read.append(i) or i for i in range(count)), length, stride):
        assert len(read) == start + len(items)


def test_a_window_handed_out_is_not_changed_afterwards():
    items_of_windows = [items for _, items in windows(range(6), 3, 1)]
    assert items_of_windows == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(0, 30), st.floats(0, 1, width=32), st.floats(0.125, 1, width=32)),
            min_size=1,
            max_size=8,
        ),
        max_size=6,
    ),
    st.integers(0, 5),
)
def test_scores_are_averaged_over_all_windows_that_hold_a_frame(rows, unscored):
    rows = [[(0, 0.25, 1.0)], *rows]  # the first frame of a video is always scored
    merger, given_to = ScoreMerger(2), {}
    for window in rows:
        frames, scores, weights = (np.array(values) for values in zip(*window, strict=True))
        merger.add(frames, np.stack([scores, 1 - scores], axis=1), weights)
        for frame, score, weight in window:
            given_to.setdefault(frame, []).append((score, weight))
    num_frames = max(given_to) + 1 + unscored
    expected, last = [], None
    for frame in range(num_frames):
        if frame in given_to:
            last = sum(s * w for s, w in given_to[frame]) / sum(w for _, w in given_to[frame])
        expected.append([last, 1 - last])
    merged = np.concatenate([merger.take(end) for end in (0, num_frames // 2, num_frames)])
    assert merged.shape == (num_frames, 2)
    np.testing.assert_allclose(merged, expected, atol=1e-5)


def test_merging_a_long_video_copies_its_scores_a_few_times_only(monkeypatch):
    copied = []
    pad = np.pad

    def noted(array, *args):
        copied.append(array.size)
        return pad(array, *args)

    monkeypatch.setattr("official_vision.metrics.localisation.windows.np.pad", noted)
    merger, frames = ScoreMerger(3), 4000
    for start in range(0, frames, 2):
        merger.add(np.arange(start, start + 2), np.ones(3), np.ones(2))
    assert sum(copied) <= 2 * frames * (3 + 1)
    np.testing.assert_array_equal(merger.take(frames), np.ones((frames, 3)))


@pytest.mark.parametrize("length", [1, 2, 7, 8])
def test_a_window_counts_most_at_its_centre(length):
    weights = centre_weights(length)
    distances = np.abs(np.arange(length) - (length - 1) / 2)
    # In straight lines from the centre down to half a step beyond the ends.
    np.testing.assert_allclose(weights, 1 - distances / (length / 2), atol=1e-6)
    assert weights.min() > 0
    if length % 2 == 0:
        np.testing.assert_allclose(weights[: length // 2] + weights[length // 2 :], 1, atol=1e-6)
