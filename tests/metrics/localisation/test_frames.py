"""Frames put together from windows, and the precision over them, against plain loops and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from official_vision.metrics.localisation.frames import FrameCollector, ScoredFrames
from official_vision.metrics.localisation.precision import precision_of
from official_vision.metrics.localisation.windows import centre_weights, window_starts

CLASSES = 2


def window_row(video, start, frames, labels, times, window, random):
    """What is known of a window: every frame is shown, and filling follows the video's end."""
    shown = start + np.arange(window) % (frames - start)
    stored = start + np.minimum(np.arange(window + 1), frames - start)
    return {
        "mask": 1.0,
        "video": video,
        "start": start,
        "shown": shown,
        "labels": labels[np.minimum(stored[:-1], frames - 1)],
        "times": times[stored],
        "scores": random.random(CLASSES),
        "frame_scores": random.random((window, CLASSES)),
    }


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(0, 1000),
    st.sampled_from(["frames", "windows"]),
)
def test_windows_in_any_order_become_whole_videos(lengths, window, seed, merge):
    random = np.random.default_rng(seed)
    starts = [window_starts(length, window, max(1, window // 2)) for length in lengths]
    labels = [random.random((length, CLASSES)) < 0.5 for length in lengths]
    times = [np.arange(length + 1) / 10 for length in lengths]
    rows = [
        window_row(video, start, lengths[video], labels[video], times[video], window, random)
        for video, of_video in enumerate(starts)
        for start in of_video
    ]
    filling = {name: np.zeros_like(value) for name, value in rows[0].items()}
    order = [rows[n] for n in random.permutation(len(rows))]
    collector = FrameCollector(lengths, starts, window, merge)
    whole = {}
    for row in [filling, *order]:
        whole.update(collector.add({name: np.array([value]) for name, value in row.items()}))
    assert sorted(whole) == list(range(len(lengths)))
    for video, frames in whole.items():
        np.testing.assert_array_equal(frames.labels, labels[video])
        np.testing.assert_allclose(frames.times_sec, times[video])
        expected = by_hand([row for row in rows if row["video"] == video], lengths[video], merge)
        np.testing.assert_allclose(frames.scores, expected, atol=1e-5)


def by_hand(rows, length, merge):
    sums, total = np.zeros((length, CLASSES)), np.zeros((length, 1))
    for row in rows:
        for place, weight in enumerate(centre_weights(len(row["shown"]))):
            frame = row["start"] + place if merge == "windows" else row["shown"][place]
            weight = (
                weight
                if merge == "windows"
                else centre_weights(len(row["shown"]))[frame - row["start"]]
            )
            score = row["scores"] if merge == "windows" else row["frame_scores"][place]
            if frame < length:
                sums[frame] += weight * score
                total[frame] += weight
    return sums / total


def test_a_video_with_a_lost_window_never_comes():
    collector = FrameCollector([4], [[0, 2]], 2, "frames")
    rows = {
        "mask": np.array([1.0, 0.0]),
        "video": np.zeros(2, int),
        "start": np.array([0, 0]),
        "shown": np.array([[0, 1], [0, 0]]),
        "labels": np.zeros((2, 2, 1)),
        "times": np.zeros((2, 3)),
        "scores": np.zeros((2, 1)),
        "frame_scores": np.zeros((2, 2, 1)),
    }
    assert list(collector.add(rows)) == []


def test_a_point_takes_the_frame_that_is_shown_then():
    """Frames of 1 s for 5 s, and an annotation that states 10 s, or 2.5."""
    frames = ScoredFrames(np.arange(5.0)[:, np.newaxis], np.zeros((5, 1), bool), np.arange(6.0))
    of_long, of_short = (frames.at_points(length)[:, 0] for length in (10.0, 2.5))
    expected = [min(int(j * 10 / 25), 4) for j in range(25)]
    assert of_long.tolist() == expected
    assert of_short.tolist() == [int(j / 10) for j in range(25)]


@given(st.integers(0, 1000), st.booleans())
def test_precision_over_all_frames_is_scikit_learns(seed, tied):
    random = np.random.default_rng(seed)
    scores = [random.random((n, CLASSES)) for n in random.integers(1, 15, 3)]
    scores = [np.round(part * 2) / 2 for part in scores] if tied else scores
    labels = [random.random(part.shape) < 0.4 for part in scores]
    actual, joined = precision_of(scores, labels), np.concatenate(labels)
    for number in np.flatnonzero(joined.any(axis=0)):
        expected = average_precision_score(joined[:, number], np.concatenate(scores)[:, number])
        assert actual.classes[number] == pytest.approx(expected)
    assert actual.positives.tolist() == joined.sum(axis=0).tolist()
