"""Frame times: believed where they rise, counted where there are none, continued where they jump."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.video.clock import FrameClock

STAMPS = st.lists(st.one_of(st.none(), st.floats(-1e5, 1e5, width=32)), min_size=1, max_size=30)


def times(stamps, step=0.04, start=None, longest=10.0, durations=(0.0,) * 40):
    clock = FrameClock(step, start, longest)
    return [clock.time(stamp, d) for stamp, d in zip(stamps, durations, strict=False)], clock


@given(STAMPS, st.one_of(st.none(), st.floats(-100, 100)), st.sampled_from([0.001, 0.04, 1.0]))
def test_times_rise_with_any_time_stamps(stamps, start, step):
    actual, clock = times(stamps, step, start)
    assert actual[0] >= 0
    assert all(later > earlier for earlier, later in itertools.pairwise(actual))
    assert clock.end_sec > actual[-1]
    assert clock.untimed == stamps.count(None)


@given(
    st.floats(-50, 50),
    st.lists(st.floats(0.01, 9.9), max_size=20),
    st.floats(0, 9.9),
)
def test_rising_times_are_believed(first, gaps, late):
    stamps = first + np.cumsum([0, *gaps])
    actual, clock = times(stamps.tolist(), start=first - late)
    np.testing.assert_allclose(actual, stamps - first + late, atol=1e-9)
    assert clock.jumps == []


def test_frames_without_times_come_one_step_after_another():
    actual, clock = times([None, None, None, 0.2, None, 0.3], step=0.05)
    np.testing.assert_allclose(actual, [0, 0.05, 0.1, 0.2, 0.25, 0.3])
    assert clock.untimed == 4


def test_jumps_go_on_where_the_frame_before_ended():
    """A leap, a new beginning, and another leap; the frame before the first lasts half a second."""
    stamps = [5.0, 5.04, 100.0, 100.04, 3.0, 3.04, 13.05, 13.09]
    actual, clock = times(stamps, durations=[0, 0.5, *[0] * 6])
    np.testing.assert_allclose(actual, [0, 0.04, 0.54, 0.58, 0.62, 0.66, 0.7, 0.74])
    at, by = zip(*clock.jumps, strict=True)
    np.testing.assert_allclose(at, [0.54, 0.62, 0.7])
    np.testing.assert_allclose(by, [94.46, -97.08, 9.97])
    assert times([0.0, 9.9])[1].jumps == []
    assert times([0.0, 500.0], longest=1000)[0] == [0, 500]


def test_small_falls_and_equal_times_are_passed_in_small_steps():
    """So that the frames after them are at their times again."""
    actual, clock = times([0.0, 0.04, 0.04, 0.03, 0.08, 0.12])
    np.testing.assert_allclose(actual, [0, 0.04, 0.044, 0.048, 0.08, 0.12])
    assert clock.jumps == []


def test_a_first_frame_is_late_only_within_reason():
    assert times([2.0, 2.04], start=0.0)[0] == [2.0, 2.04]
    np.testing.assert_allclose(times([50.0, 50.04], start=0.0)[0], [0, 0.04])
    np.testing.assert_allclose(times([-3.0, -2.96], start=0.0)[0], [0, 0.04])
