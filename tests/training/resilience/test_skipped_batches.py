"""The batch of each step after some are skipped."""

from __future__ import annotations

import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.training.resilience.skipped_batches import (
    SkippedBatch,
    batch_after,
    read_skipped,
    without_skipped,
    write_skipped,
)


def left_out(numbers):
    return [SkippedBatch(number, number + 1, "the loss", ("a", "b")) for number in numbers]


@given(st.lists(st.integers(0, 30), unique=True, max_size=8), st.integers(0, 30))
def test_steps_count_the_batches_that_are_left(numbers, steps):
    remaining = [batch for batch in range(100) if batch not in numbers]
    assert batch_after(steps, left_out(numbers)) == remaining[steps]


def test_a_resumed_pipeline_passes_over_the_same_batches():
    skipped = left_out([2, 5, 1])
    whole = without_skipped(tf.data.Dataset.range(9), 0, skipped)
    assert [int(x) for x in whole] == [0, 3, 4, 6, 7, 8]
    first = batch_after(2, skipped)
    rest = without_skipped(tf.data.Dataset.range(first, 9), first, skipped)
    assert [int(x) for x in rest] == [4, 6, 7, 8]


def test_the_record_reads_back(tmp_path):
    assert read_skipped(tmp_path) == []
    write_skipped(tmp_path, left_out([7, 3]))
    assert read_skipped(tmp_path) == left_out([7, 3])
