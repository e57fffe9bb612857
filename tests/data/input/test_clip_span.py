"""The frames and labels of clips, against plain Python."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.input import clip_span as span
from official_vision.specs import DataSpec

SPECS = st.builds(
    DataSpec,
    frames=st.integers(1, 12),
    frame_stride=st.integers(1, 4),
    views=st.integers(1, 5),
    short_video=st.sampled_from(["loop", "hold"]),
)
LENGTHS = st.integers(1, 60)


def extent(spec):
    return (spec.frames - 1) * spec.frame_stride + 1


@given(SPECS, LENGTHS, st.integers(0, 2**31 - 1))
def test_random_starts_leave_room_for_the_clip(spec, length, number):
    start = int(span.random_start(tf.constant(length), spec, tf.constant([0, number])))
    assert 0 <= start <= max(length - extent(spec), 0)


def test_random_starts_reach_every_place():
    spec = DataSpec(frames=3, frame_stride=2)
    starts = {
        int(span.random_start(tf.constant(9), spec, tf.constant([0, number])))
        for number in range(80)
    }
    assert starts == {0, 1, 2, 3, 4}


@given(SPECS, LENGTHS)
def test_views_are_spread_from_the_start_to_the_end(spec, length):
    starts = [
        int(span.evaluation_start(tf.constant(length), spec, tf.constant(view)))
        for view in range(spec.views)
    ]
    room = max(length - extent(spec), 0)
    if spec.views == 1:
        assert abs(starts[0] - room / 2) <= 0.5
    else:
        assert starts[0] == 0
        assert starts[-1] == room
        assert np.abs(np.array(starts) - np.linspace(0, room, spec.views)).max() <= 0.501


@given(SPECS, LENGTHS, st.data())
def test_frames_by_counting(spec, length, data):
    start = data.draw(st.integers(0, max(length - extent(spec), 0)))
    wanted = [start + number * spec.frame_stride for number in range(spec.frames)]
    if spec.short_video == "loop":
        expected = [number % length for number in wanted]
    else:
        expected = [min(number, length - 1) for number in wanted]
    actual = span.frame_numbers(tf.constant(start), tf.constant(length), spec)
    assert actual.numpy().tolist() == expected


@given(SPECS, LENGTHS, st.data())
def test_flows_lead_from_each_frame_to_the_next(spec, length, data):
    """By walking: from each frame of the clip, frame by frame, to the clip's next one."""
    start = data.draw(st.integers(0, max(length - extent(spec), 0)))
    flows = span.flow_numbers(tf.constant(start), tf.constant(length), spec).numpy()
    frames = span.frame_numbers(tf.constant(start), tf.constant(length), spec).numpy()
    assert flows.shape == (spec.frames, spec.frame_stride)
    fills = length < extent(spec)
    for time, (row, frame) in enumerate(zip(flows.tolist(), frames.tolist(), strict=True)):
        steps = [frame + step for step in range(spec.frame_stride)]
        if not fills:
            # Within the clip all flows exist; beyond the video's end its last flow goes on.
            assert row == [min(step, length - 1) for step in steps]
            if time + 1 < spec.frames:
                assert frames[time + 1] == row[-1] + 1
        elif spec.short_video == "hold":
            # A repeated frame does not move, nor does the last frame before it is repeated.
            assert row == [step if step + 1 < length else span.NO_MOTION for step in steps]
        else:
            # A step that leaps from the end to the start has no motion at all.
            leaps = any(
                (start + time * spec.frame_stride + k + 1) % length == 0 for k in range(len(row))
            )
            assert row == ([span.NO_MOTION] * len(row) if leaps else steps)


@pytest.mark.parametrize(
    ("short", "expected"),
    [
        ("hold", [[0, 1], [2, -1], [-1, -1], [-1, -1]]),
        ("loop", [[0, 1], [-1, -1], [0, 1], [-1, -1]]),
    ],
)
def test_flows_of_a_short_video_by_hand(short, expected):
    """Four frames, every second one shown: 0 2 3 3 repeated, 0 2 0 2 looped."""
    spec = DataSpec(frames=4, frame_stride=2, short_video=short)
    actual = span.flow_numbers(tf.constant(0), tf.constant(4), spec)
    assert actual.numpy().tolist() == expected


FPS = 10.0
STEADY = np.arange(80) / FPS


def carried(labels, start, rule, frames=10, classes=4, times=STEADY):
    """Indices that a clip of `frames` frames from frame `start` on carries."""
    record = {
        "label_index": tf.constant([label[0] for label in labels], tf.int64),
        "label_start": tf.constant([label[1] for label in labels], tf.float32),
        "label_end": tf.constant([label[2] for label in labels], tf.float32),
        "times": tf.constant(times, tf.float32),
    }
    spec = DataSpec(frames=frames, label_rule=rule)
    labels = span.clip_labels(record, tf.constant(start), classes, spec)
    assert labels.shape == [classes]
    assert set(labels.numpy().tolist()) <= {0.0, 1.0}
    return np.flatnonzero(labels.numpy()).tolist()


@pytest.mark.parametrize(
    ("label", "any_overlap", "half_overlap"),
    [
        ((0.0, 10.0), True, True),  # covers the clip, which lasts from 2 to 3 seconds
        ((2.3, 2.6), True, True),  # lies in it
        ((2.9, 4.0), True, False),  # touches its end
        ((2.4, 4.0), True, True),  # covers more than half of it
        ((1.0, 2.2), True, False),
        ((1.9, 2.15), True, True),  # lies in it by more than half
        ((0.0, 1.9), False, False),
        ((3.2, 9.0), False, False),
        ((-1.0, -1.0), True, True),  # applies throughout
        ((2.5, -1.0), True, True),  # from 2.5 seconds to the end
        ((-1.0, 1.0), False, False),  # from the start to 1 second
    ],
)
def test_label_rules_by_hand(label, any_overlap, half_overlap):
    assert carried([(1, *label)], 20, "any_overlap") == [1] * any_overlap
    assert carried([(1, *label)], 20, "half_overlap") == [1] * half_overlap
    assert carried([(1, *label)], 20, "whole_video") == [1]


def test_repeated_classes_count_once_and_none_is_fine():
    assert carried([(1, -1, -1), (3, 0, 1), (1, 0, 1)], 0, "whole_video") == [1, 3]
    assert carried([], 0, "whole_video") == []
    assert carried([], 0, "half_overlap") == []


TIMED = st.lists(
    st.tuples(st.integers(0, 3), st.floats(0, 5, width=32), st.floats(0.0625, 5, width=32)),
    max_size=5,
)


@given(TIMED, st.integers(0, 40), st.integers(1, 20))
def test_label_rules_against_plain_python(labels, start, frames):
    labels = [(index, begin, begin + length) for index, begin, length in labels]
    first, last = start / FPS, (start + frames) / FPS
    rules = {"whole_video": set(), "any_overlap": set(), "half_overlap": set()}
    for index, begin, end in labels:
        overlap = min(last, end) - max(first, begin)
        half = min(last - first, end - begin) / 2
        if min(abs(overlap), abs(overlap - half)) < 1e-3:
            return  # the comparison hangs on a rounding
        rules["whole_video"].add(index)
        if overlap > 0:
            rules["any_overlap"].add(index)
        if overlap >= half:
            rules["half_overlap"].add(index)
    for rule, expected in rules.items():
        assert carried(labels, start, rule, frames) == sorted(expected)


@given(TIMED, st.integers(0, 70), st.lists(st.integers(0, 8), min_size=1, max_size=6))
def test_labels_of_frames_against_plain_python(labels, start, shown):
    """The record begins with frame `start` of a video; a frame may be shown twice."""
    labels = [(index, begin, begin + length) for index, begin, length in labels]
    labels += [(3, 2.0, -1.0)] * (start % 2)  # to the video's end
    record = {
        "label_index": tf.constant([label[0] for label in labels], tf.int64),
        "label_start": tf.constant([label[1] for label in labels], tf.float32),
        "label_end": tf.constant([label[2] for label in labels], tf.float32),
        "times": tf.constant(STEADY[start : start + 10], tf.float32),
    }
    shown = [number % (len(record["times"]) - 1) for number in shown]
    actual = span.frame_labels(record, tf.constant(shown), 4)
    assert actual.shape == [len(shown), 4]
    for row, number in zip(actual.numpy(), shown, strict=True):
        middle = (start + number + 0.5) / FPS
        if any(abs(middle - time) < 1e-4 for _, *times in labels for time in times):
            continue  # the comparison hangs on a rounding
        holds = {i for i, begin, end in labels if begin <= middle and (middle < end or end < 0)}
        assert np.flatnonzero(row).tolist() == sorted(holds)
        assert set(row.tolist()) <= {0.0, 1.0}


def test_stored_times_decide_and_not_the_average_rate():
    """Two seconds at 30 frames per second, then four at 5: frame 60 lies at 2 s, not at 4.5 s."""
    times = [*np.arange(60) / 30, *(2 + np.arange(21) / 5)]
    labels = [(0, 0.0, 2.0), (1, 2.0, 6.0)]
    carry = functools.partial(carried, labels, rule="half_overlap", frames=4, times=times)
    assert carry(start=50) == [0]
    assert carry(start=60) == [1]
    assert carry(start=76) == [1]
    assert carry(start=58) == [1]  # 1.93 to 2.4 s
    assert carry(start=56) == [0]  # 1.87 to 2 s
    # A clip that outlasts its video ends with it.
    assert carry(start=76, frames=99) == [1]
    assert carried([(0, 5.9, 7.0)], 76, "half_overlap", 99, times=times) == []
    assert carried([(0, 5.5, 6.0)], 76, "half_overlap", 99, times=times) == [0]
