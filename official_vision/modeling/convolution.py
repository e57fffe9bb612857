"""The convolutions that every part of the network is made of.

All work on [batch * time, height, width, channels], have no bias and are followed by batch norm
(REFERENCE section 2), so bias-free constructors are gathered here.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from official_vision.modeling.layer import Layer, register
from official_vision.modeling.rematerialisation import BatchNormalization

BATCH_NORM_MOMENTUM = 0.99
BATCH_NORM_EPSILON = 1e-5


def kernel_initializer() -> tf_keras.initializers.Initializer:
    """He et al. (2015), fan out: keeps the variance of gradients through ReLU networks."""
    return tf_keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def spatial_convolution(
    filters: int, kernel_size: int, stride: int = 1, name: str | None = None
) -> tf_keras.layers.Conv2D:
    """A bias-free 2-D convolution with SAME padding."""
    return tf_keras.layers.Conv2D(
        filters,
        kernel_size,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer=kernel_initializer(),
        name=name,
    )


def batch_norm(starts_at_zero: bool = False, name: str | None = None) -> tf_keras.layers.Layer:
    """Batch norm over batch, time, height and width.

    Args:
      starts_at_zero: the scale starts at 0, so that a residual module starts as its shortcut.
      name: of the layer.
    """
    return BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=BATCH_NORM_EPSILON,
        gamma_initializer="zeros" if starts_at_zero else "ones",
        # Over replicas too: several devices train as one does. A single one keeps the fused kernel.
        synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1,
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
        return self.convolution_op(x, self.kernel)

    def convolution_op(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolves x with a given kernel: what Keras's own convolutions name so."""
        return tf.nn.conv2d(x, kernel, 1, "SAME", dilations=[self.dilation, 1])
