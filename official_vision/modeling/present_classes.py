"""Object maps of the classes that a batch shows alone.

A network knows 151 classes, of which a clip shows a dozen. Channels of the others are zero, and what multiplies
them changes nothing: a forward pass leaves them out.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

# Numbers of channels are multiples of it, since oneDNN makes its kernels anew for every new shape.
_CHANNELS_STEP = 16
_IDS = 256
NO_CLASS = 255


class PresentMap(NamedTuple):
    """An object map without the channels of classes that no row shows.

    Attributes:
      lit: 0 or 1, [rows, height, width, present]; `present` differs from batch to batch.
      classes: int32 [present], the class of each channel. The last ones may be class 0 again: those
        channels are zero.
    """

    lit: tf.Tensor
    classes: tf.Tensor


def present_classes(ids: tf.Tensor, num_classes: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Numbers the classes that appear.

    Args:
      ids: int32 [rows, ...] in 0..255; those from num_classes on are no class.
      num_classes: 1 to 255.

    Returns:
      int32 places like ids, of each id's class among those present, 255 for no class; and
      int32 [present] classes as of `PresentMap`.
    """
    shown = tf.raw_ops.DenseBincount(
        input=tf.reshape(ids, [tf.shape(ids)[0], -1]),
        size=num_classes,
        weights=tf.zeros([0]),
        binary_output=True,
    )
    appears = tf.reduce_max(shown, axis=0) > 0
    found = tf.reshape(tf.cast(tf.where(appears), tf.int32), [-1])
    count = tf.size(found)
    channels = _CHANNELS_STEP * tf.maximum(1, -(-count // _CHANNELS_STEP))
    place = tf.where(appears, tf.cumsum(tf.cast(appears, tf.int32)) - 1, NO_CLASS)
    places = tf.gather(tf.pad(place, [[0, _IDS - num_classes]], constant_values=NO_CLASS), ids)
    return places, tf.pad(found, [[0, channels - count]])


def of_all_classes(x: tf.Tensor, classes: tf.Tensor, num_classes: int) -> tf.Tensor:
    """[..., present] -> [..., num_classes], with zeros for the others."""
    return tf.matmul(x, tf.one_hot(classes, num_classes, dtype=x.dtype))
