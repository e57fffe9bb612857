"""The weighted fusion of several nodes into one block (REFERENCE section 4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.modeling.layer import Layer, build_inside, feature_maps, register
from official_vision.modeling.ops.convolution import spatial_convolution
from official_vision.modeling.ops.frame_layout import sizes
from official_vision.modeling.ops.sparse_objects import PresentMap, of_all_classes
from official_vision.modeling.ops.sums import are_in_pairs, sum_of, sum_to_fuse

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
        by_frame = self._widths_by_frame(inputs[0])
        maps, products, products_by_frame = [], [], []
        for width, positions in self.groups:
            group = [scaled[position] for position in positions]
            if width in by_frame:
                products_by_frame += [_with_scaled_kernel(self._kernel(width), *x) for x in group]
            elif str(width) in self.convolutions:
                products.append(_with_kernel(self._kernel(width), group))
            else:
                maps.append(_summed(group, width))
        return self._joined([*maps, *self._products(products_by_frame)], products)

    def _kernel(self, width: int) -> tf.Tensor:
        """What inputs of a width are multiplied by, [1, 1, width, target channels]."""
        if str(width) in self.convolutions:
            return self.convolutions[str(width)].kernel
        return tf.reshape(tf.eye(width, dtype=self.compute_dtype), [1, 1, width, width])

    def _widths_by_frame(self, x: tf.Tensor | PresentMap) -> Collection[int]:
        """Widths whose inputs stay as they are, and meet kernels that are scaled in their place.

        Where a frame, as in `x`, has enough pixels. In bfloat16 all inputs of a network that answers: one
        product is less than their scaled sums. Otherwise a converted width's only input, but where a network that
        answers makes a product of scaled sums anyway.
        """
        height, width = (x.lit if isinstance(x, PresentMap) else x).shape[1:3]
        enough = height and width and height * width >= _PIXELS_A_FILTER * self.target_channels
        if not (enough and self.is_weighted and self.scales_kernels):
            return ()
        if self._answers and self.compute_dtype == "bfloat16":
            return self.input_channels
        lone = [own for own, positions in self.groups if len(positions) == 1]
        converted = [own for own in lone if str(own) in self.convolutions]
        return () if self._answers and len(converted) < len(self.convolutions) else converted

    @property
    def _answers(self) -> bool:
        """Whether the network is folded, and what is traced now is not for TFLite."""
        return self.zero_bias is not None and not are_in_pairs()

    def _joined(
        self, maps: Sequence[tf.Tensor], products: Sequence[tuple[tf.Tensor, tf.Tensor]]
    ) -> tf.Tensor:
        """The sum of maps and of maps times kernels."""
        found = self._products(products)
        if not (found and self._answers):
            return sum_of([*maps, *found])
        y = self.zero_bias(found[0])
        return sum_to_fuse(y, sum_of(maps)) if maps else y

    def _products(self, pairs: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> list[tf.Tensor]:
        """Maps times kernels: their sum where a network answers; in training maps side by side would be kept."""
        if self._answers and pairs:
            return [_product(pairs)]
        return [_product([own]) for own in pairs]

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


def _with_kernel(
    kernel: tf.Tensor, group: Sequence[tuple[tf.Tensor | PresentMap, tf.Tensor | None]]
) -> tuple[tf.Tensor, tf.Tensor]:
    """The scaled sum of inputs of one width, and its kernel [1, 1, channels, target]."""
    x, multiplier = group[0]
    if len(group) > 1 or not isinstance(x, PresentMap):
        x = _summed(group, kernel.shape[2])
        return x, tf.cast(kernel, x.dtype)
    kernel, multiplier = _of_present(x.classes, kernel, multiplier)
    return _scale(x.lit, multiplier), tf.cast(kernel, x.lit.dtype)


def _with_scaled_kernel(
    kernel: tf.Tensor, x: tf.Tensor | PresentMap, multiplier: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """An input and its scaled kernel: [1, 1, channels, target], of a gated input [rows, channels, target]."""
    if isinstance(x, PresentMap):
        kernel, multiplier = _of_present(x.classes, kernel, multiplier)
        x = x.lit
    kernel = tf.cast(kernel, multiplier.dtype)
    if multiplier.shape.rank:
        return x, tf.cast(tf.expand_dims(multiplier, 2) * kernel[0, 0], x.dtype)
    return x, tf.cast(multiplier * kernel, x.dtype)


def _of_present(
    classes: tf.Tensor, kernel: tf.Tensor, multiplier: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """What concerns the channels of a map of present classes."""
    if multiplier.shape.rank:
        multiplier = tf.gather(multiplier, classes, axis=1)
    return tf.gather(kernel, classes, axis=2), multiplier


def _product(pairs: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> tf.Tensor:
    """Sum of maps times kernels, of one kernel for all rows or one a row: a single product of all side by side.

    Table 1's sums of 128 channels in bfloat16: 59 to 43 ms of a core where maps are scaled, 30 where kernels are.
    """
    maps, kernels = zip(*pairs, strict=True)
    x, kernel = maps[0], kernels[0]
    if len(pairs) > 1:
        x, kernel = tf.concat(maps, axis=-1), tf.concat(kernels, axis=-2)
    if kernel.shape.rank == 4:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    _, height, width, channels = sizes(x)
    y = tf.matmul(tf.reshape(x, [-1, height * width, channels]), kernel)
    return tf.reshape(y, [-1, height, width, kernel.shape[-1]])


def _equal_widths(widths: Sequence[int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """(width, positions of the inputs so wide), in order of first appearance."""
    return tuple(
        (width, tuple(position for position, own in enumerate(widths) if own == width))
        for width in dict.fromkeys(widths)
    )
