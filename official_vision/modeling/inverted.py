"""The residual module of the -lite networks (the authors' later work, REFERENCE section 2)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from official_vision.modeling import frames as time_axis
from official_vision.modeling.convolution import (
    TemporalConvolution,
    batch_norm,
    kernel_initializer,
    spatial_convolution,
)
from official_vision.modeling.layer import Layer, build_inside, build_path, feature_maps, register


@register
class InvertedBottleneck(Layer):
    """1x1x1 -> 3x3x3 -> 1x1x1 with a shortcut; where strided, 3x3 then a temporal convolution of 3."""

    def __init__(
        self,
        channels: Sequence[int],
        stride: int,
        projects: bool,
        temporal_dilation: int,
        **kwargs,
    ):
        """Args:
        channels: of the three convolutions; the last is the output's.
        stride: in height and width.
        projects: the shortcut is a 1x1 convolution with batch norm; needed where the shape changes.
        temporal_dilation: of the temporal part of the middle convolution.
        """
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.stride = stride
        self.projects = projects
        self.temporal_dilation = temporal_dilation
        first, middle, last = self.channels
        self.output_channels = last
        self.first = spatial_convolution(first, 1, name="first")
        self.first_norm = batch_norm(name="first_norm")
        if stride > 1:
            self.middle = spatial_convolution(middle, 3, stride, name="middle")
            self.temporal = TemporalConvolution(middle, 3, temporal_dilation, name="temporal")
        else:
            self.middle = tf_keras.layers.Conv3D(
                middle,
                3,
                padding="same",
                dilation_rate=(temporal_dilation, 1, 1),
                use_bias=False,
                kernel_initializer=kernel_initializer(),
                name="middle",
            )
        self.middle_norm = batch_norm(name="middle_norm")
        self.last = spatial_convolution(last, 1, name="last")
        self.last_norm = batch_norm(starts_at_zero=True, name="last_norm")
        if projects:
            self.projection = spatial_convolution(last, 1, stride, name="projection")
            self.projection_norm = batch_norm(name="projection_norm")

    def build(self, input_shape: tf.TensorShape) -> None:
        shape = build_path(input_shape, self.first, self.first_norm)
        if self.stride > 1:
            shape = build_path(shape, self.middle, self.temporal)
        else:
            build_inside(self.middle, tf.TensorShape([None]).concatenate(shape))
            shape = feature_maps(self.channels[1])
        build_path(shape, self.middle_norm, self.last, self.last_norm)
        if self.projects:
            build_path(input_shape, self.projection, self.projection_norm)
        super().build(input_shape)

    def call(
        self, x: tf.Tensor, frames: int | tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Applies the module.

        Args:
          x: [batch * time, height, width, channels].
          frames: time, a scalar.
          training: batch norm uses the batch's statistics.

        Returns:
          [batch * time, ceil(height / stride), ceil(width / stride), channels[2]].
        """
        shortcut = (
            self.projection_norm(self.projection(x), training=training) if self.projects else x
        )
        y = tf.nn.relu(self.first_norm(self.first(x), training=training))
        y = tf.nn.relu(self.middle_norm(self._apply_middle(y, frames), training=training))
        y = self.last_norm(self.last(y), training=training)
        return tf.nn.relu(y + shortcut)

    def _apply_middle(self, x: tf.Tensor, frames: int | tf.Tensor) -> tf.Tensor:
        if self.stride > 1:
            return self.temporal(self.middle(x), frames)
        return time_axis.merge_time(self.middle(time_axis.split_time(x, frames)))
