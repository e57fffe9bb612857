"""What the layers with a time axis share."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tf_keras

from official_vision.modeling.ops import frame_layout
from official_vision.modeling.ops.layer import Layer
from official_vision.modeling.ops.shared_maps import spatial_average

_PACKAGE = "official_vision.layers"


def register(layer_class: type) -> type:
    """Registers a layer under official_vision.layers>ClassName, so that saved models find it."""
    return tf_keras.saving.register_keras_serializable(_PACKAGE)(layer_class)


class ClipLayer(Layer):
    """A layer of maps [batch, time, height, width, channels] around one of maps [batch * time, ...]."""

    def by_frames(
        self, x: tf.Tensor, apply: Callable[[tf.Tensor, int | tf.Tensor], tf.Tensor]
    ) -> tf.Tensor:
        """Applies a function of (maps [batch * time, ...], time) to maps [batch, time, ...]."""
        frames = frame_layout.sizes(x)[1]
        return frame_layout.split_time(apply(frame_layout.merge_time(x), frames), frames)

    def average(self, x: tf.Tensor) -> tf.Tensor:
        """Averages [batch, time, height, width, channels] over space to [batch * time, channels]."""
        return spatial_average(frame_layout.merge_time(x))


def channels_of(shape: tf.TensorShape) -> int:
    """Returns the channels of maps.

    Raises:
      ValueError: the shape is not [batch, time, height, width, channels] with known channels.
    """
    shape = tf.TensorShape(shape)
    if shape.rank != 5 or shape[-1] is None:
        raise ValueError(
            f"Maps must be [batch, time, height, width, channels] with known channels. Received: {shape}."
        )
    return shape[-1]
