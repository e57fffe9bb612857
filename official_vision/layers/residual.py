"""Residual modules (AssembleNet++ supplement, arXiv 2008.08072, A.1) of maps with a time axis."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.layers.clip_layer import ClipLayer, channels_of, register
from official_vision.modeling import inverted, residual
from official_vision.modeling.ops.layer import build_inside, feature_maps


class _Module(ClipLayer):
    """A residual module, whose shortcut is projected where the shape changes."""

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = channels_of(input_shape)
        projects = self.stride > 1 or channels != self.output_channels
        self.module = self._make(projects)
        build_inside(self.module, feature_maps(channels))
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Applies the module.

        Args:
          x: [batch, time, height, width, channels].
          training: batch norm uses the batch's statistics.

        Returns:
          [batch, time, ceil(height / stride), ceil(width / stride), output channels].
        """
        return self.by_frames(x, lambda maps, frames: self.module(maps, frames, training=training))


class _Bottleneck(_Module):
    def __init__(
        self, channels: int, stride: int = 1, middle_channels: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.channels = channels
        self.stride = stride
        self.middle_channels = middle_channels
        self.output_channels = 4 * channels

    def _widths(self) -> tuple[int, int]:
        return self.channels, self.middle_channels or self.channels


@register
class Bottleneck2D(_Bottleneck):
    """The 2-D residual module: 1x1 to C channels, 3x3 to M, 1x1 to 4C, each with batch norm.

    Args:
      channels: C of Table 1; the output has 4C channels.
      stride: in height and width.
      middle_channels: M, of the 3x3 convolution; None takes C.
    """

    def _make(self, projects: bool) -> residual.ResidualModule:
        return residual.ResidualModule2D(
            *self._widths(), self.stride, projects, execution=self.execution, name="module"
        )


@register
class Bottleneck2Plus1D(_Bottleneck):
    """The (2+1)-D residual module: 3 frames to C channels, 3x3 to M, 1x1 to 4C, each with batch norm."""

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        middle_channels: int | None = None,
        temporal_dilation: int = 1,
        **kwargs,
    ):
        """
        Args:
          channels: C of Table 1; the output has 4C channels.
          stride: in height and width.
          middle_channels: M, of the 3x3 convolution; None takes C.
          temporal_dilation: step between the three frames of the temporal convolution.
        """
        super().__init__(channels, stride, middle_channels, **kwargs)
        self.temporal_dilation = temporal_dilation

    def _make(self, projects: bool) -> residual.ResidualModule:
        return residual.ResidualModule2Plus1D(
            *self._widths(),
            self.stride,
            projects,
            self.temporal_dilation,
            execution=self.execution,
            name="module",
        )


@register
class InvertedBottleneck(_Module):
    """The -lite networks' module: 1x1x1, 3x3x3 and 1x1x1 convolutions of given channels."""

    def __init__(
        self, channels: Sequence[int], stride: int = 1, temporal_dilation: int = 1, **kwargs
    ):
        """
        Args:
          channels: of the three convolutions; the last is the output's.
          stride: in height and width.
          temporal_dilation: of the middle convolution.
        """
        super().__init__(**kwargs)
        self.channels = tuple(channels)
        self.stride = stride
        self.temporal_dilation = temporal_dilation
        self.output_channels = self.channels[-1]

    def _make(self, projects: bool) -> residual.ResidualModule:
        return inverted.InvertedBottleneck(
            self.channels,
            self.stride,
            projects,
            self.temporal_dilation,
            execution=self.execution,
            name="module",
        )
