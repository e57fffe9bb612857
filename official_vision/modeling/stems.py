"""The network's entrances: one stem a stream (REFERENCE section 3, supplement A.1)."""

from __future__ import annotations

import functools

import tensorflow as tf

from official_vision.modeling import frames as time_axis
from official_vision.modeling.convolution import (
    TemporalConvolution,
    batch_norm,
    spatial_convolution,
)
from official_vision.modeling.layer import Layer, build_path, register
from official_vision.modeling.recomputation import convolved

OBJECT_POOL = 4
_WORD = 32  # classes that one integer of the object stem's bit sets holds
_NO_CLASS = 255


@register
class ConvolutionalStem(Layer):
    """RGB and flow stems: spatial convolution / 2, temporal convolution, max pool.

    Every convolution is followed by batch norm and ReLU. The supplement's RGB stem is (7, 5, pool 2),
    its flow stem (7, no temporal convolution, pool 2), the -lite stems (3, 3, no pool).
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        temporal_kernel_size: int,
        temporal_dilation: int,
        pool_size: int,
        **kwargs,
    ):
        """Args:
        channels: of the output.
        kernel_size: of the spatial convolution, whose stride is 2.
        temporal_kernel_size: frames of the temporal convolution; 0 for none.
        temporal_dilation: step between those frames.
        pool_size: window of the max pool, whose stride is 2; 0 for none.
        """
        super().__init__(**kwargs)
        self.channels = channels
        self.kernel_size = kernel_size
        self.temporal_kernel_size = temporal_kernel_size
        self.temporal_dilation = temporal_dilation
        self.pool_size = pool_size
        self.spatial = spatial_convolution(channels, kernel_size, 2, name="spatial")
        self.spatial_norm = batch_norm(name="spatial_norm")
        if temporal_kernel_size:
            self.temporal = TemporalConvolution(
                channels, temporal_kernel_size, temporal_dilation, name="temporal"
            )
            self.temporal_norm = batch_norm(name="temporal_norm")

    def build(self, input_shape: tf.TensorShape) -> None:
        shape = build_path(input_shape, self.spatial, self.spatial_norm)
        if self.temporal_kernel_size:
            build_path(shape, self.temporal, self.temporal_norm)
        super().build(input_shape)

    def call(
        self, x: tf.Tensor, frames: int | tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Applies the stem.

        Args:
          x: [batch * time, height, width, 3 or 2], normalised rgb or flow in pixels a frame.
          frames: time, a scalar.
          training: batch norm uses the batch's statistics.

        Returns:
          [batch * time, height / 4, width / 4, channels], or / 2 without a pool; sizes round up.
        """
        y = tf.nn.relu(self.spatial_norm(self.spatial(x), training=training))
        if self.temporal_kernel_size:
            y = time_axis.over_time(
                y, frames, functools.partial(self._over_time, training=training)
            )
        return tf.nn.max_pool2d(y, self.pool_size, 2, "SAME") if self.pool_size else y

    def _over_time(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        y = convolved(self.temporal, x, training)
        return tf.nn.relu(self.temporal_norm(y, training=training))


@register
class ObjectStem(Layer):
    """Max pool 4x4 / 4 of one channel a class, without ever holding those channels at full size.

    A class is 1 where any pixel of the 4x4 window has its id. The window's ids are gathered in a bit
    set (five 32-bit words for 151 classes) and the words are spread into channels after the pooling:
    at full size, 151 float channels would be 604 times the bytes of the ids.
    """

    def __init__(self, num_object_classes: int, uses_bit_sets: bool = True, **kwargs):
        """Args:
        num_object_classes: channels; ids from this on (255 = unlabelled) light none of them.
        uses_bit_sets: False takes the maximum of 16 one-hot maps instead, all of them at the pooled
          size: for TFLite, which has no operations on bits.
        """
        super().__init__(**kwargs)
        self.num_object_classes = num_object_classes
        self.uses_bit_sets = uses_bit_sets

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Pools and spreads the ids.

        Args:
          ids: uint8 [batch * time, height, width].

        Returns:
          0 or 1 in the layer's compute dtype, [batch * time, ceil(height / 4), ceil(width / 4), classes].
        """
        if self.uses_bit_sets:
            return self._spread(_windows(ids))
        padded = _padded(ids)
        pooled = None
        for row in range(OBJECT_POOL):
            for column in range(OBJECT_POOL):
                corner = tf.cast(padded[:, row::OBJECT_POOL, column::OBJECT_POOL], tf.int32)
                # Whole numbers: TFLite's ONE_HOT of 8-bit quantised floats gives 0.5 where 1 belongs.
                lit = tf.one_hot(corner, self.num_object_classes, dtype=tf.int32)
                pooled = lit if pooled is None else tf.maximum(pooled, lit)
        return tf.cast(pooled, self.compute_dtype)

    def _spread(self, windows: tf.Tensor) -> tf.Tensor:
        bits = tf.bitwise.left_shift(tf.ones_like(windows), windows % _WORD)
        words = []
        for word in range(-(-self.num_object_classes // _WORD)):
            own = tf.where(windows // _WORD == word, bits, tf.zeros_like(bits))
            words.append(_or_together(own))
        spread = tf.bitwise.right_shift(
            tf.stack(words, axis=-1)[..., tf.newaxis], tf.range(_WORD, dtype=tf.int32)
        )
        channels = tf.cast(tf.bitwise.bitwise_and(spread, 1), self.compute_dtype)
        rows = tf.shape(channels)
        merged = tf.reshape(channels, [rows[0], rows[1], rows[2], len(words) * _WORD])
        return merged[..., : self.num_object_classes]


def _windows(ids: tf.Tensor) -> tf.Tensor:
    """uint8 [n, height, width] -> int32 [n, ceil(height / 4), ceil(width / 4), 16]."""
    patches = tf.nn.space_to_depth(_padded(ids)[..., tf.newaxis], OBJECT_POOL)
    return tf.cast(patches, tf.int32)


def _padded(ids: tf.Tensor) -> tf.Tensor:
    """To whole windows, with ids of no class."""
    height, width = ids.shape[1] or tf.shape(ids)[1], ids.shape[2] or tf.shape(ids)[2]
    padding = [[0, 0], [0, -height % OBJECT_POOL], [0, -width % OBJECT_POOL]]
    return tf.pad(ids, padding, constant_values=_NO_CLASS)


def _or_together(bits: tf.Tensor) -> tf.Tensor:
    """Bitwise or over the last axis, which holds 16 values, by halving it."""
    for half in (8, 4, 2, 1):
        bits = tf.bitwise.bitwise_or(bits[..., :half], bits[..., half:])
    return bits[..., 0]
