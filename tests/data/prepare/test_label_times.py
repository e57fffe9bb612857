"""Labels' times as shards hold them, against spans worked out by hand."""

import pytest

from official_vision.data.annotations.manifest import Label, VideoRow
from official_vision.data.prepare.label_times import stored_labels

WHOLE = (-1.0, -1.0)


def stored(times, start=None, end=None, duration=4.0):
    labels = tuple(Label(0, *time) for time in times)
    return [
        time for _, *time in stored_labels(VideoRow("v", "v", "", labels, start, end), duration)
    ]


def test_times_count_from_the_start_of_what_is_stored():
    """Labels that end before it or begin after it are dropped."""
    times = [(0.0, 2.0), (2.5, 3.0), (1.0, 2.5), (4.0, None), (None, 1.0), (6.0, 7.0)]
    assert stored(times, 2.0, 6.0) == [[0.5, 1.0], [0.0, 0.5], [2.0, -1.0]]


@pytest.mark.parametrize(
    ("times", "applies"),
    [
        ([(None, None)], True),
        ([(0.0, 4.0)], True),
        ([(0.05, 3.95)], True),
        ([(0.0, 9.0)], True),
        ([(0.05, None)], True),
        ([(2.0, 4.0), (0.0, 2.0)], True),  # two halves
        ([(0.2, 4.0)], False),
        ([(0.0, 3.8)], False),
        ([(0.0, 1.8), (2.0, 4.0)], False),  # a gap between them
    ],
)
def test_a_class_whose_times_leave_nothing_out_applies_throughout(times, applies):
    assert (stored(times) == [list(WHOLE)]) == applies
    assert (stored([(a and a + 2, b and b + 2) for a, b in times], 2.0) == [list(WHOLE)]) == applies


def test_only_the_class_that_applies_throughout_loses_its_times():
    labels = (Label(1, 1.0, 2.0), Label(0, 0.0, 4.0), Label(0))
    row = VideoRow("v", "v.mp4", "train", labels)
    assert stored_labels(row, 4.0) == [(1, 1.0, 2.0), (0, *WHOLE)]
