"""Convolutions with quick kernel gradients, and batch norms that the backward pass computes again.

A convolution's gradient needs what went in, a batch norm's too. `norm_relu_convolution`, `norm_relu_pool` and
`residual_end` keep the outputs of convolutions alone, and of a residual module's last one, the widest, and of cheap
projections (`convolution_norm`) not even that: AssembleNet-50's step of 2 clips of 16 x 112 x 112 takes 2.5 GiB at
most instead of 3.1 in float32, for a tenth more arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

from official_vision.modeling.execution import Execution
from official_vision.modeling.ops import thresholds
from official_vision.modeling.ops.batch_norm import BatchNormalization, Normalised, NormValues
from official_vision.modeling.ops.convolution import TemporalConvolution
from official_vision.modeling.ops.cpu_kernels.convolution_gradients import (
    Convolution,
    convolution_gradient,
    convolve,
    replaces_gradients,
)
from official_vision.modeling.ops.elementwise import relu
from official_vision.modeling.ops.frame_layout import over_time


def convolved(layer: Convolution, x: tf.Tensor, training: bool | None) -> tf.Tensor:
    """Calls a convolution; in training its gradients are those of convolution_gradients.py.

    Args:
      layer: without bias.
      x: what it takes.
      training: gradients will be needed. Without that the plain operation stays visible to TensorFlow,
        which fuses it with what follows.
    """
    if not (training and replaces_gradients(layer, x)):
        return layer(x)
    if not layer.execution.cpu_kernels:  # dilation, of which TensorFlow has no gradient here
        return layer.undilated_op(x, tf.cast(layer.kernel, x.dtype))

    @tf.custom_gradient
    def forward(x: tf.Tensor, kernel: tf.Tensor) -> tuple:
        def backward(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return convolution_gradient(layer, x, kernel, dy)

        return _convolve_forward(layer, x, kernel), backward

    return forward(x, tf.convert_to_tensor(layer.kernel))


def can_recompute(norm: BatchNormalization, training: bool | None) -> bool:
    """Returns whether a batch norm can be computed again here: of a batch on one device, by the fused kernel."""
    return bool(training and norm.trainable and norm.fused)


def recomputes_norms(
    execution: Execution, norms: Iterable[BatchNormalization], training: bool | None
) -> bool:
    """Returns whether a layer recomputes these batch norms in the backward pass."""
    wanted = execution.recomputes == "norms"
    return wanted and all(can_recompute(norm, training) for norm in norms)


def recomputed_bottleneck(module: Any, x: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Computes a bottleneck in training with fewer activations in memory.

    Args:
      module: a bottleneck of residual.py, whose norms `recomputes_norms`.
      x: its input, [rows, height, width, channels].
      first: its first convolution's result, [rows, height, width, C].
    """
    y = norm_relu_convolution(first, module.first_norm, module.middle)
    is_cheap = module.projects and x.shape[-1] <= thresholds.CHEAP_CHANNELS
    if is_cheap and can_recompute(module.projection_norm, training=True):
        shortcut = convolution_norm(x, module.projection, module.projection_norm)
    else:
        shortcut = module.shortcut(x, training=True)
    return residual_end(y, shortcut, module.middle_norm, module.last, module.last_norm)


def recomputed_stem(stem: Any, x: tf.Tensor, frames: int | tf.Tensor) -> tf.Tensor:
    """Computes a stem in training with fewer activations in memory.

    Args:
      stem: a ConvolutionalStem with a max pool, whose norms `recomputes_norms`.
      x: its input, [rows, height, width, colours].
      frames: time, a scalar.
    """
    y, norm = convolved(stem.spatial, x, training=True), stem.spatial_norm
    if stem.temporal_kernel_size:
        y = over_time(y, frames, lambda y: norm_relu_convolution(y, norm, stem.temporal))
        norm = stem.temporal_norm
    return norm_relu_pool(y, norm, stem.pool_size, stem.pool_attributes())


def norm_relu_convolution(
    x: tf.Tensor, norm: BatchNormalization, convolution: Convolution
) -> tf.Tensor:
    """Computes convolution(relu(norm(x))) in training; only x stays in memory.

    Args:
      x: [rows, height, width, channels].
      norm: one that `can_recompute`; moves its averages.
      convolution: without bias.

    Returns:
      What the convolution returns.
    """

    @tf.custom_gradient
    def forward(x: tf.Tensor, kernel: tf.Tensor, *norm_values: tf.Tensor) -> tuple:
        values = NormValues(*norm_values)
        normalised = norm.normalise(x, values)

        def backward(dy: tf.Tensor, *_: Any) -> tuple:
            a = _norm_relu_again(dy, x, values, norm)
            da, dkernel = _in_order(*convolution_gradient(convolution, a, kernel, dy))
            dx, *of_norm = _norm_relu_gradient(da, a, x, values, normalised, norm)
            return dx, dkernel, *of_norm, None, None

        y = _convolve_forward(convolution, _relu(normalised.y, norm), kernel)
        return (y, *normalised.moved), backward

    y, mean, variance = forward(x, tf.convert_to_tensor(convolution.kernel), *norm.values())
    norm.move(mean, variance)
    return y


def residual_end(
    x: tf.Tensor,
    shortcut: tf.Tensor,
    norm: BatchNormalization,
    convolution: Convolution,
    last_norm: BatchNormalization,
) -> tf.Tensor:
    """Computes relu(last_norm(convolution(relu(norm(x)))) + shortcut) in training; x and the result stay in memory.

    Args:
      x: [rows, height, width, channels].
      shortcut: as what is returned.
      norm, convolution: as of `norm_relu_convolution`.
      last_norm: as `norm`.

    Returns:
      [rows, height, width, filters of the convolution].
    """

    @tf.custom_gradient
    def forward(
        x: tf.Tensor, shortcut: tf.Tensor, kernel: tf.Tensor, *norm_values: tf.Tensor
    ) -> tuple:
        first, last = NormValues(*norm_values[:4]), NormValues(*norm_values[4:])
        normalised = norm.normalise(x, first)
        wide = _convolve_forward(convolution, _relu(normalised.y, norm), kernel)
        widened = last_norm.normalise(wide, last)
        out = _relu(widened.y + shortcut, last_norm)

        def backward(dy: tf.Tensor, *_: Any) -> tuple:
            dsum = tf.raw_ops.ReluGrad(gradients=dy, features=out)
            a = _norm_relu_again(dsum, x, first, norm)
            wide = convolve(convolution, a, kernel)
            dwide, dlast_scale, dlast_offset = _norm_gradient(dsum, wide, last, widened, last_norm)
            da, dkernel = _in_order(*convolution_gradient(convolution, a, kernel, dwide))
            dx, dscale, doffset = _norm_relu_gradient(da, a, x, first, normalised, norm)
            of_norms = dscale, doffset, None, None, dlast_scale, dlast_offset, None, None
            return dx, dsum, dkernel, *of_norms

        return (out, *normalised.moved, *widened.moved), backward

    values = *norm.values(), *last_norm.values()
    y, *moved = forward(x, shortcut, tf.convert_to_tensor(convolution.kernel), *values)
    norm.move(*moved[:2])
    last_norm.move(*moved[2:])
    return y


def convolution_norm(x: tf.Tensor, convolution: Convolution, norm: BatchNormalization) -> tf.Tensor:
    """Computes norm(convolution(x)) in training; only x stays in memory. Arguments as of `norm_relu_convolution`."""

    @tf.custom_gradient
    def forward(x: tf.Tensor, kernel: tf.Tensor, *norm_values: tf.Tensor) -> tuple:
        values = NormValues(*norm_values)
        normalised = norm.normalise(_convolve_forward(convolution, x, kernel), values)

        def backward(dy: tf.Tensor, *_: Any) -> tuple:
            wide = convolve(convolution, _after(dy, x), kernel)
            dwide, *of_norm = _norm_gradient(dy, wide, values, normalised, norm)
            dx, dkernel = _in_order(*convolution_gradient(convolution, x, kernel, dwide))
            return dx, dkernel, *of_norm, None, None

        return (normalised.y, *normalised.moved), backward

    y, mean, variance = forward(x, tf.convert_to_tensor(convolution.kernel), *norm.values())
    norm.move(mean, variance)
    return y


def norm_relu_pool(
    x: tf.Tensor, norm: BatchNormalization, size: int, padding_attributes: Mapping[str, Any]
) -> tf.Tensor:
    """Computes max_pool(relu(norm(x))) with a stride of 2 in training; x and the result stay in memory.

    Args:
      x: [rows, height, width, channels].
      norm: as of `norm_relu_convolution`.
      size: of the pool's window.
      padding_attributes: attributes of TensorFlow's pooling operation that set its padding.

    Returns:
      [rows, height / 2, width / 2, channels]; sizes round up.
    """
    window = {"ksize": [1, size, size, 1], "strides": [1, 2, 2, 1], **padding_attributes}

    @tf.custom_gradient
    def forward(x: tf.Tensor, *norm_values: tf.Tensor) -> tuple:
        values = NormValues(*norm_values)
        normalised = norm.normalise(x, values)
        pooled = tf.raw_ops.MaxPool(input=_relu(normalised.y, norm), **window)

        def backward(dy: tf.Tensor, *_: Any) -> tuple:
            a = _norm_relu_again(dy, x, values, norm)
            da = tf.raw_ops.MaxPoolGrad(orig_input=a, orig_output=pooled, grad=dy, **window)
            return *_norm_relu_gradient(da, a, x, values, normalised, norm), None, None

        return (pooled, *normalised.moved), backward

    y, mean, variance = forward(x, *norm.values())
    norm.move(mean, variance)
    return y


def _relu(x: tf.Tensor, norm: BatchNormalization) -> tf.Tensor:
    return relu(x, training=True, execution=norm.execution)


def _norm_relu_again(
    dy: tf.Tensor, x: tf.Tensor, values: NormValues, norm: BatchNormalization
) -> tf.Tensor:
    """Recomputes relu(norm(x)) once the backward pass has arrived with dy."""
    return _relu(norm.normalise(_after(dy, x), values).y, norm)


def _norm_relu_gradient(
    da: tf.Tensor,
    a: tf.Tensor,
    x: tf.Tensor,
    values: NormValues,
    normalised: Normalised,
    norm: BatchNormalization,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns gradients of x, scale and offset from that of a = relu(norm(x))."""
    dy = tf.raw_ops.ReluGrad(gradients=da, features=a)
    return _norm_gradient(dy, x, values, normalised, norm)


def _norm_gradient(
    dy: tf.Tensor,
    x: tf.Tensor,
    values: NormValues,
    normalised: Normalised,
    norm: BatchNormalization,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    first, second, third = normalised.reserved
    return tf.raw_ops.FusedBatchNormGradV3(
        y_backprop=dy,
        x=x,
        scale=values.scale,
        reserve_space_1=first,
        reserve_space_2=second,
        reserve_space_3=third,
        epsilon=norm.epsilon,
        is_training=True,
    )[:3]


def _convolve_forward(layer: Convolution, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Convolves; the last level's rows in two halves, which two cores take side by side.

    Its block is alone, and with one thread per operation the other core would wait: AssembleNet-50's step takes
    1.5 to 2.5 % less. The backward pass has kernels' gradients to fill it.
    """
    halves_rows = layer.execution.cpu_kernels and layer.execution.one_thread_per_operation
    if not (halves_rows and _is_of_last_level(layer, x)):
        return convolve(layer, x, kernel)
    halves = [convolve(layer, half, kernel) for half in tf.split(x, 2)]
    return tf.concat(halves, axis=0)


def _is_of_last_level(layer: Convolution, x: tf.Tensor) -> bool:
    """Recognises the last level by shape: wide, of few pixels, and of rows that can be halved."""
    rows, height, width, channels = x.shape
    if None in (rows, height, width) or rows % 2:
        return False
    is_temporal = isinstance(layer, TemporalConvolution)  # [batch, time, pixels, channels]
    pixels = width if is_temporal else height * width // layer.strides[0] ** 2
    return pixels <= thresholds.FEW_PIXELS and max(channels, layer.filters) >= thresholds.WIDE


def _in_order(dx: tf.Tensor, dkernel: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes kernels' gradients before dx goes on; else TensorFlow stores many layers' x and dy for them."""
    return _after(dkernel, dx), dkernel


def _after(first: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Returns x once `first` is there: nothing is recomputed before the backward pass arrives."""
    with tf.control_dependencies([first]):
        return tf.identity(x)
