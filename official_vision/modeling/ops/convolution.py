"""The convolutions of all parts of the network.

All work on [batch * time, height, width, channels], have no bias and are followed by batch norm
(AssembleNet++ supplement, A.1), so bias-free constructors are gathered here.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras

from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.ops.batch_norm import BatchNormalization, ChannelBias
from official_vision.modeling.ops.layer import Layer, register

BATCH_NORM_MOMENTUM = 0.99
BATCH_NORM_EPSILON = 1e-5


def kernel_initializer() -> tf_keras.initializers.Initializer:
    """Returns the initializer of He et al. (2015), fan out, which keeps the variance of gradients through ReLUs."""
    return tf_keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


@register
class SpatialConvolution(tf_keras.layers.Conv2D):
    """A 2-D convolution of an odd, square kernel that pads height and width with zeros.

    Symmetric padding adds (kernel size - 1) / 2 zeros on every side, as the authors' code does. TensorFlow's
    SAME pads one pixel less in front where the stride is 2 and the size is even, so that every window lies a
    pixel further on. Both give ceil(size / stride) pixels, and are the same without a stride.
    """

    def __init__(
        self,
        *args: Any,
        is_symmetric: bool = True,
        execution: Execution = PLAIN,
        **kwargs: Any,
    ):
        """Args:
        *args, **kwargs: of Keras's Conv2D.
        is_symmetric: False pads as TensorFlow's SAME does.
        execution: of the network, which is in no configuration.
        """
        super().__init__(*args, **kwargs)
        self.execution = execution
        self.is_symmetric = is_symmetric

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "is_symmetric": self.is_symmetric}

    def padding_attributes(self) -> dict[str, Any]:
        """Returns the attributes of TensorFlow's operations of a convolution that set its padding."""
        if not self.has_explicit_padding():
            return {"padding": "SAME"}
        sides = [side for margin in self.margins() for side in margin]
        return {"padding": "EXPLICIT", "explicit_paddings": sides}

    def has_explicit_padding(self) -> bool:
        """Returns whether TensorFlow's SAME would pad otherwise at some sizes."""
        return self.is_symmetric and self.strides != (1, 1)

    def margins(self) -> list[tuple[int, int]]:
        """Returns the zeros of symmetric padding before and after each of the four axes, as `tf.pad` takes them."""
        height, width = (size // 2 for size in self.kernel_size)
        return [(0, 0), (height, height), (width, width), (0, 0)]

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves [rows, height, width, channels] with a given kernel."""
        return tf.raw_ops.Conv2D(
            input=inputs,
            filter=kernel,
            strides=[1, *self.strides, 1],
            dilations=[1, *self.dilation_rate, 1],
            **self.padding_attributes(),
        )


def spatial_convolution(
    filters: int,
    kernel_size: int,
    stride: int = 1,
    name: str | None = None,
    padding: str = "symmetric",
    execution: Execution = PLAIN,
) -> SpatialConvolution:
    """Returns a bias-free 2-D convolution.

    Args:
      filters: output channels.
      kernel_size: in height and width; odd.
      stride: in height and width.
      name: of the layer.
      padding: symmetric or same; see `SpatialConvolution`.
      execution: of the network.
    """
    return SpatialConvolution(
        filters,
        kernel_size,
        stride,
        padding="same",  # what gives the sizes of both kinds of padding
        use_bias=False,
        kernel_initializer=kernel_initializer(),
        is_symmetric=padding == "symmetric",
        execution=execution,
        name=name,
    )


def batch_norm(
    starts_at_zero: bool = False, name: str | None = None, execution: Execution = PLAIN
) -> tf_keras.layers.Layer:
    """Returns a batch norm over batch, time, height and width; where the network is folded, its bias.

    Args:
      starts_at_zero: the scale starts at 0, so that a residual module starts as its shortcut.
      name: of the layer.
      execution: of the network.
    """
    if execution.is_folded:
        return ChannelBias(execution=execution, name=name)
    return BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        gamma_initializer="zeros" if starts_at_zero else "ones",
        # Over replicas too: several devices train as one does. A single one keeps the fused kernel.
        synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1,
        execution=execution,
        name=name,
    )


@register
class TemporalConvolution(Layer):
    """A convolution over time alone, without bias, SAME padding with zeros.

    y[t] = sum_i x[t + (i - (k - 1) / 2) * dilation] W[i], the same at every pixel. As one convolution of
    [time, pixels] it runs at 85 to 100 % of a matrix product's rate, at all widths of the networks;
    three shifted matrix products at 60 to 90 %.
    """

    def __init__(self, filters: int, kernel_size: int = 3, dilation: int = 1, **kwargs):
        """Args:
        filters: output channels.
        kernel_size: frames that one output frame sees; odd.
        dilation: step between those frames.
        """
        super().__init__(**kwargs)
        if kernel_size % 2 == 0:
            raise ValueError(f"A temporal kernel must be odd. Received: {kernel_size}.")
        self.filters = filters
        self.kernel_size = kernel_size
        self.dilation = dilation

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = tf.TensorShape(input_shape)[-1]
        self.kernel = self.add_weight(
            "kernel",
            [self.kernel_size, 1, channels, self.filters],
            initializer=kernel_initializer(),
        )
        super().build(input_shape)

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return tf.TensorShape(input_shape)[:-1].concatenate(self.filters)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Convolves over time.

        Args:
          x: [batch, time, pixels, channels], as `frames.over_time` gives it.

        Returns:
          [batch, time, pixels, filters].
        """
        # Outside graphs, where a tape may watch: training's graphs see to this themselves.
        if tf.executing_eagerly() and self.lacks_gradients(x.dtype):
            return self.undilated_op(x, tf.cast(self.kernel, x.dtype))
        return self.convolution_op(x, self.kernel)

    def convolution_op(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves [batch, time, pixels, channels] with a given kernel."""
        return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=[self.dilation, 1])

    def lacks_gradients(self, dtype: tf.DType) -> bool:
        """Returns whether what `convolution_op` returns cannot be differentiated on this machine."""
        return self.dilation > 1 and dtype.name not in self.execution.differentiable_dilation

    def undilated_op(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves as `convolution_op`, by a convolution without dilation of every `dilation`-th frame."""
        return tf.nn.convolution(x, kernel, 1, "SAME", dilations=[self.dilation, 1])
