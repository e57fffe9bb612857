"""The weighted fusion of several nodes into one block (REFERENCE section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.modeling.convolution import spatial_convolution
from official_vision.modeling.layer import Layer, build_inside, feature_maps, register
from official_vision.modeling.present_classes import PresentMap, of_all_classes
from official_vision.modeling.sums import are_in_pairs, sum_of, sum_to_fuse

_INITIAL_DEVIATION = 0.01
# So many pixels a frame for each channel of the output make a 1x1 convolution's kernel worth scaling, not its input.
_PIXELS_A_FILTER = 2


@register
class WeightedFusion(Layer):
    """sum over widths of conv1x1(sum over inputs j of that width of sigmoid(w_j) * gate_j * x_j).

    x_0 (pooled) -- * sigmoid(w_0) gate_0 --+
    x_1 (pooled) -- * sigmoid(w_1) gate_1 --(+)-- 1x1 to the target width --+
    x_2 (pooled) -- * sigmoid(w_2) gate_2 -- already as wide as the target -(+)--
    """

    def __init__(
        self,
        input_channels: Sequence[int],
        target_channels: int,
        strengths: Sequence[float] | None = None,
        scales_kernels: bool = True,
        **kwargs,
    ):
        """Args:
        input_channels: width of each input.
        target_channels: width of the output.
        strengths: sigmoid(w) to start from, one an input, in (0, 1); None starts w near 0.
        scales_kernels: False scales maps alone, never a kernel in their place: for TFLite, which
          quantises a convolution's kernel only if it is constant.
        """
        super().__init__(**kwargs)
        self.input_channels = tuple(input_channels)
        self.target_channels = target_channels
        self.strengths = None if strengths is None else tuple(strengths)
        self.scales_kernels = scales_kernels
        # A folded network has one: where a bias is between, TensorFlow adds a map to a convolution as it computes
        # it. Table 1's forward pass in bfloat16: 0.295 to 0.274 s, in float32 0.940 to 0.927 s.
        self.zero_bias = None
        self.groups = _equal_widths(self.input_channels)
        # A single input is passed on as it is: no strength and no convolution.
        self.is_weighted = len(self.input_channels) > 1
        self.convolutions = {
            str(width): spatial_convolution(target_channels, 1, name=f"from_{width}")
            for width, _ in self.groups
            if self.is_weighted and width != target_channels
        }

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        if self.is_weighted:
            self.strength_logits = self.add_weight(
                "strength_logits", [len(self.input_channels)], initializer=self._initializer()
            )
        for width, convolution in self.convolutions.items():
            build_inside(convolution, feature_maps(int(width)))
        super().build(input_shape)

    def _initializer(self) -> tf_keras.initializers.Initializer:
        if self.strengths is None:
            return tf_keras.initializers.TruncatedNormal(stddev=_INITIAL_DEVIATION)
        given = np.asarray(self.strengths, np.float64)
        return tf_keras.initializers.Constant(np.log(given) - np.log1p(-given))

    def learned_strengths(self) -> tf.Tensor:
        """Returns sigmoid(w), [inputs]; ones for a single input."""
        if not self.is_weighted:
            return tf.ones([1], tf.float32)
        return tf.sigmoid(tf.cast(self.strength_logits, tf.float32))

    def call(
        self, inputs: Sequence[tf.Tensor | PresentMap], gates: Sequence[tf.Tensor] = ()
    ) -> tf.Tensor:
        """Fuses the inputs.

        Args:
          inputs: each [batch * time, height, width, its channels], pooled to equal sizes; an object map may be
            one of the present classes alone.
          gates: multipliers, each [batch * time, its channels]; empty for ungated connections.

        Returns:
          [batch * time, height, width, target channels].
        """
        scaled = list(zip(inputs, self._multipliers(gates), strict=True))
        maps, convolved = [], []
        for width, positions in self.groups:
            convolution = self.convolutions.get(str(width))
            group = [scaled[position] for position in positions]
            if not convolution:
                maps.append(_summed(group, width))
            elif len(group) > 1:
                convolved.append(convolution(_summed(group, width)))
            elif isinstance(group[0][0], PresentMap):
                convolved.append(_convolved_present(convolution, *group[0]))
            elif self._scales_kernel(group[0][0]):
                maps.append(_scaled_convolution(convolution, *group[0]))
            else:
                convolved.append(convolution(_scale(*group[0])))
        return self._joined(maps, convolved)

    def _scales_kernel(self, x: tf.Tensor) -> bool:
        """Whether a kernel a frame has fewer numbers than the map, by enough to pay for several kernels."""
        if not self.scales_kernels:
            return False
        height, width = x.shape[1:3]
        return bool(height and width) and height * width >= _PIXELS_A_FILTER * self.target_channels

    def _joined(self, maps: Sequence[tf.Tensor], convolved: Sequence[tf.Tensor]) -> tf.Tensor:
        """The sum of maps and of convolutions' outputs."""
        if self.zero_bias is None or are_in_pairs():
            return sum_of([*maps, *convolved])
        y = sum_of(maps) if maps else None
        for own in map(self.zero_bias, convolved):
            y = own if y is None else sum_to_fuse(own, y)
        return y

    def _multipliers(self, gates: Sequence[tf.Tensor]) -> list[tf.Tensor | None]:
        """Strength times gate for each input: both are tiny beside the maps that they scale.

        In the variables' precision, so that kernels that they scale are rounded once, and their gradients
        are added up unrounded.
        """
        gates = [tf.cast(gate, self.variable_dtype) for gate in gates]
        if not self.is_weighted:
            return [gates[0] if gates else None]
        strengths = tf.unstack(tf.cast(self.learned_strengths(), self.variable_dtype))
        if not gates:
            return strengths
        return [strength * gate for strength, gate in zip(strengths, gates, strict=True)]


def _scale(x: tf.Tensor, multiplier: tf.Tensor | None) -> tf.Tensor:
    """Multiplies [rows, height, width, channels] by a scalar or by [rows, channels]."""
    if multiplier is None:
        return x
    if multiplier.shape.rank:
        # By these operations TensorFlow sees that the result has x's sizes, and fuses what adds to it.
        multiplier = tf.expand_dims(tf.expand_dims(multiplier, 1), 1)
    return x * tf.cast(multiplier, x.dtype)


def _summed(
    group: Sequence[tuple[tf.Tensor | PresentMap, tf.Tensor | None]], width: int
) -> tf.Tensor:
    """Sum of inputs of one width, each scaled by its multiplier."""
    whole = [
        (of_all_classes(*x, width) if isinstance(x, PresentMap) else x, multiplier)
        for x, multiplier in group
    ]
    return sum_of([_scale(*own) for own in whole])


def _convolved_present(
    convolution: tf_keras.layers.Conv2D, x: PresentMap, multiplier: tf.Tensor
) -> tf.Tensor:
    """conv1x1(multiplier * x), of the classes that x has alone."""
    if multiplier.shape.rank:
        multiplier = tf.gather(multiplier, x.classes, axis=1)
    kernel = tf.gather(tf.cast(convolution.kernel, x.lit.dtype), x.classes, axis=2)
    return tf.nn.conv2d(_scale(x.lit, multiplier), kernel, 1, "SAME")


def _scaled_convolution(
    convolution: tf_keras.layers.Conv2D, x: tf.Tensor, multiplier: tf.Tensor
) -> tf.Tensor:
    """conv1x1(multiplier * x), as x (multiplier * kernel): of 151 channels in bfloat16 a third of the time."""
    kernel = tf.cast(convolution.kernel[0, 0], multiplier.dtype)
    if not multiplier.shape.rank:
        scaled = tf.cast(multiplier * kernel, x.dtype)
        return convolution.convolution_op(x, scaled[tf.newaxis, tf.newaxis])
    kernels = tf.cast(tf.expand_dims(multiplier, 2) * kernel, x.dtype)
    height, width, channels = x.shape[1:]
    y = tf.matmul(tf.reshape(x, [-1, height * width, channels]), kernels)
    return tf.reshape(y, [-1, height, width, convolution.filters])


def _equal_widths(widths: Sequence[int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """(width, positions of the inputs so wide), in order of first appearance."""
    return tuple(
        (width, tuple(position for position, own in enumerate(widths) if own == width))
        for width in dict.fromkeys(widths)
    )
