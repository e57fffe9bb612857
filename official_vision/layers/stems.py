"""Stems (AssembleNet++ supplement, arXiv 2008.08072, A.1): from a stream to the first feature maps."""

from __future__ import annotations

import tensorflow as tf

from official_vision.layers.clip_layer import ClipLayer, register
from official_vision.modeling import stems
from official_vision.modeling.inputs import normalise_rgb
from official_vision.modeling.ops.layer import build_inside, feature_maps
from official_vision.specs import ModelSpec


class _ConvolutionalStem(ClipLayer):
    def _make(self, temporal_kernel_size: int, temporal_dilation: int) -> stems.ConvolutionalStem:
        return stems.ConvolutionalStem(
            self.channels,
            7,
            temporal_kernel_size,
            temporal_dilation,
            2,
            execution=self.execution,
            name="stem",
        )

    def _apply(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        return self.by_frames(x, lambda maps, frames: self.stem(maps, frames, training=training))


@register
class RgbStem(_ConvolutionalStem):
    """Frames through a 7x7 convolution / 2, a temporal convolution of 5 frames and a max pool / 2."""

    def __init__(self, channels: int = 32, temporal_dilation: int = 1, **kwargs):
        """
        Args:
          channels: of the output.
          temporal_dilation: step between the five frames of the temporal convolution.
        """
        super().__init__(**kwargs)
        self.channels = channels
        self.temporal_dilation = temporal_dilation

    def build(self, input_shape: tf.TensorShape) -> None:
        self.stem = self._make(5, self.temporal_dilation)
        build_inside(self.stem, feature_maps(3))
        super().build(input_shape)

    def call(self, rgb: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Applies the stem.

        Args:
          rgb: [batch, time, height, width, 3], 0 to 255, which is normalised here.
          training: batch norm uses the batch's statistics.

        Returns:
          [batch, time, ceil(height / 4), ceil(width / 4), channels].
        """
        usual = ModelSpec()
        x = normalise_rgb(rgb, usual.rgb_mean, usual.rgb_deviation, self.compute_dtype)
        return self._apply(x, training)


@register
class FlowStem(_ConvolutionalStem):
    """Optical flow through a 7x7 convolution / 2 and a max pool / 2, frame by frame."""

    def __init__(self, channels: int = 32, **kwargs):
        """
        Args:
          channels: of the output.
        """
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape: tf.TensorShape) -> None:
        self.stem = self._make(0, 1)
        build_inside(self.stem, feature_maps(2))
        super().build(input_shape)

    def call(self, flow: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Applies the stem to flow [batch, time, height, width, 2] in pixels per frame; returns as `RgbStem.call`."""
        return self._apply(flow, training)


@register
class ObjectStem(ClipLayer):
    """Object ids as one channel per class, 1 where any pixel of a 4x4 window has the class."""

    def __init__(self, num_object_classes: int = 151, **kwargs):
        """
        Args:
          num_object_classes: channels; ids from this number on count for none of them.
        """
        super().__init__(**kwargs)
        self.num_object_classes = num_object_classes

    def build(self, input_shape: tf.TensorShape) -> None:
        self.stem = stems.ObjectStem(self.num_object_classes, execution=self.execution, name="stem")
        super().build(input_shape)

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Applies the stem.

        Args:
          ids: uint8 [batch, time, height, width]; 255 is unlabelled.

        Returns:
          0 or 1, [batch, time, ceil(height / 4), ceil(width / 4), classes].
        """
        return self.by_frames(ids, lambda maps, _: self.stem(maps))
