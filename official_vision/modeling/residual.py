"""Residual modules of the bottleneck networks (supplement A.1; AssembleNet, Ryoo et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
import tf_keras

from official_vision.architecture.graph import Architecture
from official_vision.architecture.layer_plans import ModulePlan
from official_vision.modeling.execution import Execution
from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.modeling.ops.convolution import (
    TemporalConvolution,
    batch_norm,
    spatial_convolution,
)
from official_vision.modeling.ops.elementwise import norm_relu, relu
from official_vision.modeling.ops.layer import Layer, build_path, register
from official_vision.modeling.ops.recomputation import (
    convolved,
    recomputed_bottleneck,
    recomputes_norms,
)


def _as_it_is(x: tf.Tensor) -> tf.Tensor:
    return x


class ResidualModule(Layer):
    """The common part of residual modules: a shortcut, and the 1x1 convolution that ends the other path.

    x --+-- the module's other convolutions -------------- 1x1 -- BN --(+)-- ReLU
        |                                                               |
        +-- identity, or 1x1 / stride and BN where `projects` ----------+
    """

    def __init__(self, output_channels: int, stride: int, projects: bool, **kwargs):
        super().__init__(**kwargs)
        self.output_channels = output_channels
        self.stride = stride
        self.projects = projects
        self.last = spatial_convolution(output_channels, 1, name="last", execution=self.execution)
        self.last_norm = batch_norm(starts_at_zero=True, name="last_norm", execution=self.execution)
        if projects:
            self.projection = spatial_convolution(
                output_channels, 1, stride, name="projection", execution=self.execution
            )
            self.projection_norm = batch_norm(name="projection_norm", execution=self.execution)

    def build(self, input_shape: tf.TensorShape) -> None:
        build_path(self._build_inner(input_shape), self.last, self.last_norm)
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
          [batch * time, ceil(height / stride), ceil(width / stride), output channels].
        """
        y = convolved(self.last, self._inner(x, frames, training), training)
        return relu(
            self.last_norm(y, training=training) + self.shortcut(x, training),
            training,
            self.execution,
        )

    def shortcut(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns the summand of the last convolution's result; arguments as of `call`."""
        if not self.projects:
            return x
        return self.projection_norm(convolved(self.projection, x, training), training=training)


class _Bottleneck(ResidualModule):
    """A bottleneck: x -- first, to C -- BN, ReLU -- 3x3 / stride, to M -- BN, ReLU -- (1x1, to 4C)."""

    def __init__(
        self,
        channels: int,
        middle_channels: int,
        stride: int,
        projects: bool,
        padding: str = "symmetric",
        **kwargs,
    ):
        """Args:
        channels: C of Table 1; the output has 4C channels.
        middle_channels: M, the 3x3 convolution's channels.
        stride: of the 3x3 convolution and of the projection, in height and width.
        projects: the shortcut is a projection; needed where the shape changes.
        padding: of the 3x3 convolution where it is strided, symmetric or same.
        """
        super().__init__(4 * channels, stride, projects, **kwargs)
        self.channels = channels
        self.middle_channels = middle_channels
        self.padding = padding
        self.first = self._first_convolution()
        self.first_norm = batch_norm(name="first_norm", execution=self.execution)
        self.middle = spatial_convolution(
            middle_channels, 3, self._middle_stride(), "middle", padding, self.execution
        )
        self.middle_norm = batch_norm(name="middle_norm", execution=self.execution)

    def _first_convolution(self) -> tf_keras.layers.Layer:
        return spatial_convolution(self.channels, 1, name="first", execution=self.execution)

    def _middle_stride(self) -> int:
        return self.stride

    def _build_inner(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return build_path(input_shape, self.first, self.first_norm, self.middle, self.middle_norm)

    def call(
        self, x: tf.Tensor, frames: int | tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        norms = (self.first_norm, self.middle_norm, self.last_norm)
        if recomputes_norms(self.execution, norms, training):
            return recomputed_bottleneck(self, x, self.first_map(x, frames, training))
        return super().call(x, frames, training)

    def _inner(self, x: tf.Tensor, frames: int | tf.Tensor, training: bool | None) -> tf.Tensor:
        y = self.first_map(x, frames, training, lambda y: norm_relu(y, self.first_norm, training))
        return norm_relu(convolved(self.middle, y, training), self.middle_norm, training)

    def first_map(
        self,
        x: tf.Tensor,
        frames: int | tf.Tensor,
        training: bool | None,
        then: Callable[[tf.Tensor], tf.Tensor] = _as_it_is,
    ) -> tf.Tensor:
        """Applies the first convolution, and `then` what follows it channel by channel; otherwise as `call`."""
        del frames  # frames are independent of each other in a 2-D module
        return then(convolved(self.first, x, training))


@register
class ResidualModule2D(_Bottleneck):
    """The 2-D module: a block's modules 0, 2, 4 ... begin with a 1x1 convolution."""

    def __init__(
        self,
        channels: int,
        middle_channels: int,
        stride: int,
        projects: bool,
        padding: str = "symmetric",
        downsampling: str = "middle",
        **kwargs,
    ):
        """Args as of the base class, and
        downsampling: which convolution has the stride: middle, the 3x3, or first, the 1x1 before it, as in
          the first published ResNets (arXiv 1512.03385).
        """
        self.downsampling = downsampling
        super().__init__(channels, middle_channels, stride, projects, padding, **kwargs)

    def _first_convolution(self) -> tf_keras.layers.Layer:
        stride = self.stride // self._middle_stride()
        return spatial_convolution(self.channels, 1, stride, "first", execution=self.execution)

    def _middle_stride(self) -> int:
        return 1 if self.downsampling == "first" else self.stride


@register
class ResidualModule2Plus1D(_Bottleneck):
    """The (2+1)-D module: a block's modules 1, 3, 5 ... begin with a temporal convolution of 3 frames."""

    def __init__(
        self,
        channels: int,
        middle_channels: int,
        stride: int,
        projects: bool,
        temporal_dilation: int,
        padding: str = "symmetric",
        **kwargs,
    ):
        """Args as of the base class, and
        temporal_dilation: step between the three frames of the temporal convolution.
        """
        self.temporal_dilation = temporal_dilation
        super().__init__(channels, middle_channels, stride, projects, padding, **kwargs)

    def _first_convolution(self) -> tf_keras.layers.Layer:
        return TemporalConvolution(
            self.channels, 3, self.temporal_dilation, name="first", execution=self.execution
        )

    def first_map(
        self,
        x: tf.Tensor,
        frames: int | tf.Tensor,
        training: bool | None,
        then: Callable[[tf.Tensor], tf.Tensor] = _as_it_is,
    ) -> tf.Tensor:
        """Applies the temporal convolution, and `then`; as `_Bottleneck.first_map`."""
        first = super().first_map
        return time_axis.over_time(x, frames, lambda y: first(y, frames, training, then))


def make_bottleneck(
    plan: ModulePlan, architecture: Architecture, execution: Execution, name: str
) -> ResidualModule:
    """Makes a bottleneck module's layer.

    Args:
      plan: its numbers.
      architecture: the graph, whose header sets the padding and where a module strides.
      execution: of the network.
      name: of the layer.
    """
    first, middle, _ = plan.convolutions
    settings = {
        "channels": first.outputs,
        "middle_channels": middle.outputs,
        "stride": plan.stride,
        "projects": plan.projects,
        "padding": architecture.convolution_padding,
        "execution": execution,
        "name": name,
    }
    if first.frames > 1:
        return ResidualModule2Plus1D(temporal_dilation=plan.temporal_dilation, **settings)
    return ResidualModule2D(downsampling=architecture.downsampling, **settings)
