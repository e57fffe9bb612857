"""Object maps with only the channels of classes that a batch shows.

A network knows 151 classes, of which a clip shows a dozen. Channels of the others are zero, and what multiplies
them changes nothing: a forward pass leaves them out.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from official_vision.modeling.ops.frame_layout import sizes

OBJECT_POOL = 4
# Numbers of channels are multiples of it, since oneDNN makes its kernels anew for every new shape.
_CHANNELS_STEP = 16
_IDS = 256


class PresentMap(NamedTuple):
    """An object map without the channels of classes that no row shows.

    Attributes:
      lit: 0 or 1, [rows, height, width, present]; `present` differs from batch to batch.
      classes: int32 [present], the class of each channel. The last ones may be class 0 again: those
        channels are zero.
    """

    lit: tf.Tensor
    classes: tf.Tensor


def present_map(ids: tf.Tensor, num_classes: int, dtype: str) -> PresentMap:
    """Lights the classes of each 4x4 window, only of those that appear anywhere.

    Ids are looked up two at a time, each pair's classes as a set of bits; a window's classes are the
    union of its pairs'. Half the time of numbering ids among the present ones and counting them.

    Args:
      ids: uint8 [rows, height, width], multiples of 4; those from num_classes on are no class.
      num_classes: 1 to 255.
      dtype: of the map.

    Returns:
      A map of height / 4 and width / 4.
    """
    rows, height, width = sizes(ids)
    pairs = tf.cast(tf.bitcast(tf.reshape(ids, [rows, height, width // 2, 2]), tf.uint16), tf.int32)
    appears = _appearing(pairs, num_classes)
    classes = tf.reshape(tf.cast(tf.where(appears), tf.int32), [-1])
    count = tf.size(classes)
    channels = _CHANNELS_STEP * tf.maximum(1, -(-count // _CHANNELS_STEP))
    sets = tf.gather(_sets_of_pairs(appears, channels), pairs)
    grid = [
        rows,
        height // OBJECT_POOL,
        OBJECT_POOL,
        width // OBJECT_POOL,
        OBJECT_POOL // 2,
        channels // _CHANNELS_STEP,
    ]
    for axis in (2, 3):  # a window's rows, then the pairs of a row
        sets = functools.reduce(
            tf.bitwise.bitwise_or, tf.unstack(tf.reshape(sets, grid), axis=axis)
        )
        del grid[axis]
    lit = tf.gather(_bits_of_bytes(dtype), tf.cast(tf.bitcast(sets, tf.uint8), tf.int32))
    # Rows as a slice of the shape, for the reason in `frames.merge_time`.
    shape = tf.concat(
        [tf.shape(ids)[:1], [height // OBJECT_POOL, width // OBJECT_POOL, channels]], axis=0
    )
    return PresentMap(tf.reshape(lit, shape), tf.pad(classes, [[0, channels - count]]))


def counted(ids: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Lights the classes of each 4x4 window: a count of its ids, of which TensorFlow keeps whether there are any.

    A fifth of the time of bit sets that are spread into channels: 5 beside 24 ms for 16 x 224 x 224.

    Args:
      ids: uint8 [rows, height, width], multiples of 4; those from num_classes on are no class.
      num_classes: 1 to 255.

    Returns:
      0 or 1 in float32, [rows, height / 4, width / 4, num_classes].
    """
    windows = _windows(ids)
    _, height, width, members = sizes(windows)
    lit = tf.raw_ops.DenseBincount(
        input=tf.reshape(windows, [-1, members]),
        size=num_classes,
        weights=tf.zeros([0]),
        binary_output=True,
    )
    return tf.reshape(lit, [-1, height, width, num_classes])


def _windows(padded: tf.Tensor) -> tf.Tensor:
    """Cuts uint8 [n, height, width] into windows, int32 [n, height / 4, width / 4, 16]."""
    rows, height, width = sizes(padded)
    grid = [rows, height // OBJECT_POOL, OBJECT_POOL, width // OBJECT_POOL, OBJECT_POOL]
    # A window's four ids of a row move as one number of 32 bits.
    fours = tf.transpose(tf.bitcast(tf.reshape(padded, grid), tf.int32), [0, 1, 3, 2])
    ids = tf.cast(tf.bitcast(fours, tf.uint8), tf.int32)
    return tf.reshape(ids, [rows, grid[1], grid[3], OBJECT_POOL**2])


def _appearing(pairs: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns whether each class appears in pairs of ids (as whole numbers), bool [num_classes]."""
    counts = tf.raw_ops.DenseBincount(
        input=tf.reshape(pairs, [1, -1]), size=_IDS**2, weights=tf.zeros([0]), binary_output=True
    )
    counts = tf.reshape(counts, [_IDS, _IDS])
    shown = tf.maximum(tf.reduce_max(counts, axis=0), tf.reduce_max(counts, axis=1))
    return shown[:num_classes] > 0


def _sets_of_pairs(appears: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
    """Returns the channels that a pair of ids lights as bits, uint16 [256 * 256, channels / 16]."""
    place = tf.where(appears, tf.cumsum(tf.cast(appears, tf.int32)) - 1, -1)
    place = tf.pad(place, [[0, _IDS - appears.shape[0]]], constant_values=-1)
    lit = tf.reshape(tf.one_hot(place, channels, dtype=tf.int32), [_IDS, -1, 2, 8])
    of_bytes = tf.reduce_sum(lit * (1 << np.arange(8)), axis=-1)
    sets = tf.bitcast(tf.cast(of_bytes, tf.uint8), tf.uint16)
    of_pairs = tf.bitwise.bitwise_or(sets[:, tf.newaxis], sets)
    return tf.reshape(of_pairs, [_IDS**2, -1])


def _bits_of_bytes(dtype: str) -> tf.Tensor:
    """Returns a byte's bits, least first, 0 or 1: [256, 8]."""
    of_bytes = np.arange(_IDS, dtype=np.uint8)[:, np.newaxis]
    return tf.constant(np.unpackbits(of_bytes, axis=1, bitorder="little"), dtype)


def of_all_classes(x: tf.Tensor, classes: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Spreads [..., present] to [..., num_classes], with zeros for the others."""
    return tf.matmul(x, tf.one_hot(classes, num_classes, dtype=x.dtype))
