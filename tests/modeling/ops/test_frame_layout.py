"""Folding time into the batch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.modeling.ops import frame_layout as frames
from tests.modeling import twins


@given(batch=st.integers(1, 4), time=st.integers(1, 5))
def test_merging_and_splitting_undo_each_other(batch: int, time: int) -> None:
    x = twins.maps(batch, time, 2, 3)
    merged = frames.merge_time(tf.constant(x))
    np.testing.assert_array_equal(merged[time * (batch - 1)], x[-1, 0])
    np.testing.assert_array_equal(frames.split_time(merged, time), x)


def test_known_sizes_are_numbers_and_unknown_ones_tensors() -> None:
    @tf.function(input_signature=[tf.TensorSpec([None, 3, None], tf.float32)])
    def sizes(x: tf.Tensor) -> tf.Tensor:
        first, second, third = frames.sizes(x)
        assert second == 3
        assert isinstance(second, int)
        return tf.stack([first, third])

    np.testing.assert_array_equal(sizes(np.zeros((2, 3, 5), np.float32)), [2, 5])
