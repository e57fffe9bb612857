"""The residual module of the -lite networks (the authors' later work)."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from official_vision.architecture.graph import Architecture
from official_vision.architecture.layer_plans import ModulePlan
from official_vision.modeling.execution import TFLITE, Execution
from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.modeling.ops.convolution import (
    TemporalConvolution,
    batch_norm,
    kernel_initializer,
    spatial_convolution,
)
from official_vision.modeling.ops.elementwise import norm_relu
from official_vision.modeling.ops.layer import build_inside, build_path, feature_maps, register
from official_vision.modeling.ops.recomputation import convolved
from official_vision.modeling.residual import ResidualModule


@register
class InvertedBottleneck(ResidualModule):
    """1x1x1 -> 3x3x3 -> 1x1x1 with a shortcut; where strided, 3x3 then a temporal convolution of 3."""

    def __init__(
        self,
        channels: Sequence[int],
        stride: int,
        projects: bool,
        temporal_dilation: int,
        padding: str = "symmetric",
        **kwargs,
    ):
        """Args:
        channels: of the three convolutions; the last is the output's.
        stride: in height and width.
        projects: the shortcut is a 1x1 convolution with batch norm; needed where the shape changes.
        temporal_dilation: of the temporal part of the middle convolution.
        padding: of the middle convolution where it is strided, symmetric or same.
        """
        first, middle, last = channels
        super().__init__(last, stride, projects, **kwargs)
        self.channels = tuple(channels)
        self.temporal_dilation = temporal_dilation
        self.padding = padding
        self.first = spatial_convolution(first, 1, name="first", execution=self.execution)
        self.first_norm = batch_norm(name="first_norm", execution=self.execution)
        if stride > 1:
            self.middle = spatial_convolution(middle, 3, stride, "middle", padding, self.execution)
            self.temporal = TemporalConvolution(
                middle, 3, temporal_dilation, name="temporal", execution=self.execution
            )
            self.temporal_norm = batch_norm(name="temporal_norm", execution=self.execution)
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
            self.middle_norm = batch_norm(name="middle_norm", execution=self.execution)

    def _build_inner(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        shape = build_path(input_shape, self.first, self.first_norm)
        if self.stride > 1:
            return build_path(shape, self.middle, self.temporal, self.temporal_norm)
        build_inside(self.middle, tf.TensorShape([None]).concatenate(shape))
        return build_path(feature_maps(self.channels[1]), self.middle_norm)

    def _inner(self, x: tf.Tensor, frames: int | tf.Tensor, training: bool | None) -> tf.Tensor:
        y = norm_relu(self.first(x), self.first_norm, training)
        if self.stride > 1:
            over_time = functools.partial(self._over_time, training=training)
            return time_axis.over_time(self.middle(y), frames, over_time)
        if self.execution.target == TFLITE:
            y = self._middle_of_two_axes(time_axis.over_time(y, frames, self._with_neighbours))
        else:
            y = time_axis.merge_time(self.middle(time_axis.split_time(y, frames)))
        return norm_relu(y, self.middle_norm, training)

    def _with_neighbours(self, x: tf.Tensor) -> tf.Tensor:
        """Returns each frame's channels behind those of the frame before and before those of the one after."""
        frames, step = x.shape[1], self.temporal_dilation
        padded = tf.pad(x, [[0, 0], [step, step], [0, 0], [0, 0]])
        seen = [padded[:, step * part : step * part + frames] for part in range(3)]
        return tf.concat(seen, axis=-1)

    def _middle_of_two_axes(self, y: tf.Tensor) -> tf.Tensor:
        """Computes the 3x3x3 convolution by one of 3x3, as TFLite has none of three axes that is dilated."""
        kernel = tf.transpose(tf.cast(self.middle.kernel, y.dtype), [1, 2, 0, 3, 4])
        height, width, *_, filters = kernel.shape
        return tf.nn.conv2d(y, tf.reshape(kernel, [height, width, -1, filters]), 1, "SAME")

    def _over_time(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        return norm_relu(convolved(self.temporal, x, training), self.temporal_norm, training)


def make_inverted_bottleneck(
    plan: ModulePlan, architecture: Architecture, execution: Execution, name: str
) -> ResidualModule:
    """Makes an inverted bottleneck's layer; arguments as of `residual.make_bottleneck`."""
    first, *deep, last = plan.convolutions
    return InvertedBottleneck(
        (first.outputs, deep[-1].outputs, last.outputs),
        stride=plan.stride,
        projects=plan.projects,
        temporal_dilation=plan.temporal_dilation,
        padding=architecture.convolution_padding,
        execution=execution,
        name=name,
    )
