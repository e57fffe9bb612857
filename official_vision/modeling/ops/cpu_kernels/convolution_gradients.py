"""Gradients of the network's convolutions, by the operations that are quickest on a CPU.

oneDNN is slower where zeros around a map are part of the gradient's operation than where the map is padded first.
Milliseconds for 32 frames in float32 on 2 cores, by EXPLICIT padding and by VALID of padded maps:

    7x7, 3 to 64 channels, 112 x 112   kernel's gradient 54, 32
    3x3, 64 channels, 56 x 56           input's gradient 35, 24
    3x3, 512 channels, 14 x 14          input's gradient 149, 73

Kernels' gradients of 3x3 convolutions are a fifth quicker with EXPLICIT, and the convolutions themselves as quick.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from official_vision.modeling.ops.convolution import SpatialConvolution, TemporalConvolution
from official_vision.modeling.ops.cpu_kernels.matrix_products import (
    pointwise_by_matrices,
    pointwise_product,
    spatial_by_matrices,
    spatial_kernel_product,
    temporal_by_matrices,
    temporal_kernel_product,
)

Convolution = SpatialConvolution | TemporalConvolution


def replaces_gradients(layer: Convolution, x: tf.Tensor) -> bool:
    """Returns whether `convolution_gradient` differs from the gradients that TensorFlow would take."""
    return _by_matrices(layer, x) or _pads_first(layer) or _substitute(layer, x) is not None


def _by_matrices(layer: Convolution, x: tf.Tensor) -> bool:
    """Returns whether the kernel's gradient is a product of matrices."""
    if isinstance(layer, TemporalConvolution):
        if layer.lacks_gradients(x.dtype):
            return True
        by_matrices = temporal_by_matrices(x, layer.filters, layer.kernel_size, layer.dilation)
    else:
        by_matrices = spatial_by_matrices(x, layer.filters, layer.kernel_size[0], layer.strides[0])
    return layer.execution.cpu_kernels and by_matrices


def convolve(layer: Convolution, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves in training: the widest 1x1 convolutions are products of matrices.

    Args:
      layer: without bias.
      x: [rows, height, width, channels], or over time [batch, time, pixels, channels].
      kernel: of the layer, in x's dtype.

    Returns:
      What the layer returns.
    """
    if _is_product(layer, x):
        return pointwise_product(x, kernel, layer.strides[0])
    return layer.convolution_op(x, kernel)


def convolution_gradient(
    layer: Convolution, x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the gradients of the input and of the kernel.

    Args:
      layer, x, kernel: as of `convolve`.
      dy: gradient of the result.

    Returns:
      Gradients shaped as x and as the kernel.
    """
    return _input_gradient(layer, x, kernel, dy), _kernel_gradient(layer, x, dy)


def _kernel_gradient(layer: Convolution, x: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    by_matrices = _by_matrices(layer, x)
    if isinstance(layer, TemporalConvolution):
        size, dilation = layer.kernel_size, layer.dilation
        if by_matrices:
            return temporal_kernel_product(x, dy, size, dilation)
        return _correlated(x, dy, (size, 1), (1, 1), (dilation, 1), padding="SAME")
    size, stride, attributes = layer.kernel_size[0], layer.strides[0], layer.padding_attributes()
    if by_matrices:
        return spatial_kernel_product(x, dy, size, stride)
    if size > 3 and _pads_first(layer):
        x, attributes = tf.pad(x, layer.margins()), {"padding": "VALID"}
    return _correlated(x, dy, layer.kernel_size, layer.strides, (1, 1), **attributes)


def _correlated(
    x: tf.Tensor,
    dy: tf.Tensor,
    sizes: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    **attributes: object,
) -> tf.Tensor:
    """Returns the gradient of a kernel of these sizes, by TensorFlow's operation."""
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x,
        filter_sizes=[*sizes, x.shape[-1], dy.shape[-1]],
        out_backprop=dy,
        strides=[1, *strides, 1],
        dilations=[1, *dilations, 1],
        **attributes,
    )


def _input_gradient(
    layer: Convolution, x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor
) -> tf.Tensor:
    substitute = _substitute(layer, x)
    if substitute is not None:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = substitute(x, kernel)  # nothing reads its values: a graph leaves them out
        return tape.gradient(y, x, dy)
    if isinstance(layer, TemporalConvolution):
        return _transposed(tf.shape(x), kernel, dy, (1, 1), (layer.dilation, 1), padding="SAME")
    if not _pads_first(layer):
        attributes = layer.padding_attributes()
        return _transposed(
            tf.shape(x), kernel, dy, layer.strides, layer.dilation_rate, **attributes
        )
    before, after = tf.unstack(tf.constant(layer.margins()), axis=1)
    shape = tf.shape(x) + before + after
    padded = _transposed(shape, kernel, dy, layer.strides, layer.dilation_rate, padding="VALID")
    return tf.slice(padded, before, tf.shape(x))


def _transposed(
    shape: tf.Tensor,
    kernel: tf.Tensor,
    dy: tf.Tensor,
    strides: tuple[int, int],
    dilations: tuple[int, int],
    **attributes: object,
) -> tf.Tensor:
    """Returns the gradient of the convolution's input, of this shape."""
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=shape,
        filter=kernel,
        out_backprop=dy,
        strides=[1, *strides, 1],
        dilations=[1, *dilations, 1],
        **attributes,
    )


def _substitute(layer: Convolution, x: tf.Tensor) -> Callable[..., tf.Tensor] | None:
    """Operations that compute the same and are differentiated in the convolution's place; mostly none."""
    if _is_product(layer, x):
        return lambda x, kernel: pointwise_product(x, kernel, layer.strides[0])
    if isinstance(layer, TemporalConvolution) and layer.lacks_gradients(x.dtype):
        return layer.undilated_op
    return None


def _is_product(layer: Convolution, x: tf.Tensor) -> bool:
    is_pointwise = isinstance(layer, SpatialConvolution) and layer.kernel_size == (1, 1)
    replaces = is_pointwise and layer.execution.cpu_kernels
    return replaces and pointwise_by_matrices(x, layer.filters, layer.strides[0])


def _pads_first(layer: Convolution) -> bool:
    is_explicit = isinstance(layer, SpatialConvolution) and layer.has_explicit_padding()
    return is_explicit and layer.kernel_size[0] > 1 and layer.execution.cpu_kernels
