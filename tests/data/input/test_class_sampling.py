"""Training videos drawn by class, against counts by hand."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from official_vision.data.input.class_sampling import ClassSampling
from official_vision.data.input.training_order import halves, training_order

LABELS = [(), (0,), (1,), (0, 1), (2,), (0, 2)]


def epoch_of(kind, labels, seeds, positions=None):
    positions = np.arange(len(labels)) if positions is None else positions
    return ClassSampling(kind, labels).draws_of(positions)(tf.constant(seeds, tf.int64)).numpy()


def shares_by_hand(kind, labels):
    """Each class's draws of an epoch, and under None those of videos without a class."""
    counts = collections.Counter(index for classes in labels for index in classes)
    without = sum(not classes for classes in labels)
    weights = {c: n**0.5 if kind == "square_root" else 1.0 for c, n in counts.items()}
    left = len(labels) - without
    return {None: without, **{c: left * w / sum(weights.values()) for c, w in weights.items()}}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=40),
    st.sampled_from(["square_root", "balanced"]),
    st.integers(0, 99),
)
def test_classes_have_their_draws_and_videos_their_turns(classes, kind, seed):
    labels = [() if index == 4 else (index,) for index in classes]
    drawn = epoch_of(kind, labels, [seed, seed + 7])
    assert len(drawn) == len(labels)
    turns = collections.Counter(drawn.tolist())
    for index, share in shares_by_hand(kind, labels).items():
        videos = [v for v, has in enumerate(labels) if has == (() if index is None else (index,))]
        of_class = [turns[video] for video in videos]
        assert sum(of_class) in (
            int(np.floor(share - 1e-6)),
            int(np.ceil(share + 1e-6)),
            round(share),
        )
        assert max(of_class, default=0) - min(of_class, default=0) <= 1


def test_fractions_even_out_over_epochs_and_several_labels_each_count():
    for kind in ("square_root", "balanced"):
        turns = collections.Counter()
        draw = tf.function(ClassSampling(kind, LABELS).draws_of(np.arange(6)))
        for epoch in range(400):
            turns.update(draw(tf.constant([3, epoch], tf.int64)).numpy().tolist())
        expected = collections.Counter()
        shares = shares_by_hand(kind, LABELS)
        for index in (None, 0, 1, 2):
            videos = [v for v, has in enumerate(LABELS) if (index in has if has else index is None)]
            for video in videos:
                expected[video] += shares[index] / len(videos)
        for video, count in expected.items():
            assert turns[video] / 400 == pytest.approx(count, abs=0.1), (kind, video)


def test_every_video_of_a_frequent_class_comes_up():
    labels = [(0,)] * 30 + [(1,)] * 2
    drawn = {v for epoch in range(12) for v in epoch_of("balanced", labels, [0, epoch]).tolist()}
    assert drawn == set(range(32))


def test_begun_anywhere_it_goes_on_as_it_would_have():
    def taken(first, count, half=None):
        order = training_order(6, 5, first, half, ClassSampling("balanced", LABELS)).take(count)
        return [(int(n), int(p)) for n, p in order.as_numpy_iterator()]

    whole = taken(0, 30)
    assert [n for n, _ in whole] == list(range(30))
    for first in (1, 6, 17):
        assert taken(first, 30 - first) == whole[first:]
    for half, positions in enumerate(halves(6, 5)):
        assert {p for _, p in taken(0, 40, half)} == set(positions.numpy().tolist())
