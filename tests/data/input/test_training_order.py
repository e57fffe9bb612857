"""The order of training: whole epochs, and the same from wherever it is begun."""

import itertools

import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.input.training_order import halves, training_order


def taken(num_records, seed, first, count):
    order = training_order(num_records, seed, first).take(count)
    return [(int(n), int(p)) for n, p in order.as_numpy_iterator()]


@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 30))
def test_begun_anywhere_it_goes_on_as_it_would_have(num_records, seed, first):
    tf.random.set_seed(first)  # TensorFlow's global seed has no part in it
    whole = taken(num_records, seed, 0, first + 12)
    assert taken(num_records, seed, first, 12) == whole[first:]
    assert [number for number, _ in whole] == list(range(first + 12))
    for start in range(0, first + 13 - num_records, num_records):
        epoch = [position for _, position in whole[start : start + num_records]]
        assert sorted(epoch) == list(range(num_records))


def test_epochs_and_seeds_have_different_orders():
    orders = [
        tuple(p for _, p in taken(20, seed, 20 * epoch, 20))
        for seed, epoch in itertools.product(range(3), range(3))
    ]
    assert len(set(orders)) == 9


def test_every_order_of_three_comes_up():
    orders = {tuple(p for _, p in taken(3, 1, 3 * epoch, 3)) for epoch in range(60)}
    assert len(orders) == 6


def test_beginning_late_is_as_quick_as_beginning_at_once():
    """A number far away is reached without counting up to it."""
    assert taken(240_000, 0, 10**12 + 7, 1)[0][0] == 10**12 + 7


@given(st.integers(2, 40), st.integers(0, 5))
def test_halves_share_out_all_records(num_records, seed):
    first, second = (half.numpy().tolist() for half in halves(num_records, seed))
    assert sorted(first + second) == list(range(num_records))
    assert len(first) - len(second) == num_records % 2


def test_a_half_is_gone_through_by_epochs_wherever_it_is_begun():
    for half, positions in enumerate(halves(9, 3)):
        positions = positions.numpy().tolist()
        whole = list(training_order(9, 3, 0, half).take(20).as_numpy_iterator())
        epochs = [[int(p) for _, p in whole[i : i + len(positions)]] for i in (0, len(positions))]
        assert [sorted(epoch) for epoch in epochs] == [positions, positions]
        assert epochs[0] != epochs[1]
        begun = list(training_order(9, 3, 7, half).take(13).as_numpy_iterator())
        assert begun == whole[7:]


def test_seeds_have_different_halves():
    assert len({tuple(halves(20, seed)[0].numpy().tolist()) for seed in range(5)}) == 5
