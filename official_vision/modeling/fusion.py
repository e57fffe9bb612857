"""The weighted fusion of several nodes into one block (AssembleNet, arXiv 1905.13209, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.modeling.ops.batch_norm import ChannelBias
from official_vision.modeling.ops.convolution import spatial_convolution
from official_vision.modeling.ops.cpu_kernels.fused_sums import FusedSum, scale
from official_vision.modeling.ops.cpu_kernels.sparse_objects import PresentMap
from official_vision.modeling.ops.elementwise import sum_of
from official_vision.modeling.ops.layer import Layer, build_inside, feature_maps, register

_INITIAL_DEVIATION = 0.01


@register
class WeightedFusion(Layer):
    """Sums conv1x1(sum over inputs j of a width of sigmoid(w_j) * gate_j * x_j) over the widths.

    x_0 (pooled) -- * sigmoid(w_0) gate_0 --+
    x_1 (pooled) -- * sigmoid(w_1) gate_1 --(+)-- 1x1 to the target width --+
    x_2 (pooled) -- * sigmoid(w_2) gate_2 -- already as wide as the target -(+)--
    """

    def __init__(
        self,
        input_channels: Sequence[int],
        target_channels: int,
        strengths: Sequence[float] | None = None,
        **kwargs,
    ):
        """Args:
        input_channels: width of each input.
        target_channels: width of the output.
        strengths: sigmoid(w) to start from, one per input, in (0, 1); None starts w near 0.
        """
        super().__init__(**kwargs)
        self.input_channels = tuple(input_channels)
        self.target_channels = target_channels
        self.strengths = None if strengths is None else tuple(strengths)
        self.groups = _equal_widths(self.input_channels)
        # A single input is passed on as it is: no strength and no convolution.
        self.is_weighted = len(self.input_channels) > 1
        self.convolutions = {
            str(width): spatial_convolution(
                target_channels, 1, name=f"from_{width}", execution=self.execution
            )
            for width, _ in self.groups
            if self.is_weighted and width != target_channels
        }
        self.zero_bias = None
        if self.is_weighted and self.execution.is_cpu_inference:
            self.zero_bias = ChannelBias(dtype=self.dtype_policy, name="zero_bias")

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        if self.is_weighted:
            self.strength_logits = self.add_weight(
                "strength_logits", [len(self.input_channels)], initializer=self._initializer()
            )
        for width, convolution in self.convolutions.items():
            build_inside(convolution, feature_maps(int(width)))
        if self.zero_bias is not None:
            build_inside(self.zero_bias, feature_maps(self.target_channels))
        super().build(input_shape)

    def _initializer(self) -> tf_keras.initializers.Initializer:
        if self.strengths is None:
            return tf_keras.initializers.TruncatedNormal(stddev=_INITIAL_DEVIATION)
        strengths = np.asarray(self.strengths, np.float64)
        return tf_keras.initializers.Constant(np.log(strengths) - np.log1p(-strengths))

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
        multipliers = self._multipliers(gates)
        if self.execution.cpu_kernels:
            return self._fused_sum(inputs, multipliers)
        maps, convolved = [], []
        for width, positions in self.groups:
            scaled = [scale(inputs[position], multipliers[position]) for position in positions]
            x = sum_of(scaled, self.execution)
            if str(width) in self.convolutions:
                convolved.append(self.convolutions[str(width)](x))
            else:
                maps.append(x)
        return sum_of([*maps, *convolved], self.execution)

    def _fused_sum(
        self,
        inputs: Sequence[tf.Tensor | PresentMap],
        multipliers: Sequence[tf.Tensor | None],
    ) -> tf.Tensor:
        """Computes what `call` does, quicker on CPUs."""
        kernels = {int(width): layer.kernel for width, layer in self.convolutions.items()}
        fused = FusedSum(self.groups, kernels, self.target_channels, self.execution, self.zero_bias)
        return fused(inputs, multipliers, self.compute_dtype)

    def _multipliers(self, gates: Sequence[tf.Tensor]) -> list[tf.Tensor | None]:
        """Returns strength times gate for each input: both are tiny beside the maps that they scale.

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


def _equal_widths(widths: Sequence[int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Yields (width, positions of the inputs of that width), in order of first appearance."""
    return tuple(
        (width, tuple(position for position, other in enumerate(widths) if other == width))
        for width in dict.fromkeys(widths)
    )
