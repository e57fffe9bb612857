"""A network as it answers: each line of linear maps that follow each other is one map.

With fixed statistics a batch norm is a factor and an offset a channel. The factor goes into the
convolution's kernel; what is left is a bias, which TensorFlow's optimizer fuses with the convolution
and the ReLU after it. One-shot peers' shares and maps go into their gates' fully connected layers.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.modeling.fusion import WeightedFusion
from official_vision.modeling.gates import MergedPeerGate, PeerAttentionGate
from official_vision.modeling.layer import Layer, build_inside, register
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.precision import in_precision

# A kernel of so many is read in less time than operations take to start.
_FEW_NUMBERS = 2**19
_SUFFIX = "_norm"  # `first_norm` follows `first`: all layers here name them so


@register
class ChannelBias(Layer):
    """What is left of a folded batch norm: one number added to each channel."""

    def __init__(self, channels: int, **kwargs):
        """Args:
        channels: of the feature maps.
        """
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape: tf.TensorShape) -> None:
        self.bias = self.add_weight("bias", [self.channels], initializer="zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Adds the bias to x, [batch * time, height, width, channels].

        Raises:
          ValueError: asked to train, which a folded network can't.
        """
        if training:
            raise ValueError("A network with folded batch norms answers; it can't be trained.")
        return tf.nn.bias_add(x, self.bias)


def folded(model: AssembleNet, precision: str = "float32") -> AssembleNet:
    """Returns a network of its own that computes the same without batch norms, and with `MergedPeerGate`s.

    Args:
      model: a network with weights; it is left as it is.
      precision: dtype of weights and feature maps, float32 or bfloat16; logits are float32 anyway.
    """
    copy = _copied(model, "float32")
    for layer in _layers_with_norms(copy):
        for name in _norm_names(layer):
            factor, bias = _factor_and_bias(getattr(layer, name))
            convolution = getattr(layer, name.removesuffix(_SUFFIX))
            convolution.kernel.assign(convolution.kernel.numpy() * factor)
            _put_bias(layer, name, len(bias)).bias.assign(bias)
    for merged, gate in _merge_peers(copy):
        merged.merge(gate)
    _put_zero_biases(copy)
    if precision == "float32":
        return copy
    narrow = _copied(model, precision)
    for layer in _layers_with_norms(narrow):
        for name in _norm_names(layer):
            _put_bias(layer, name, getattr(layer, name).gamma.shape[0])
    _merge_peers(narrow)
    _put_zero_biases(narrow)
    for own, exact in zip(narrow.variables, copy.variables, strict=True):
        own.assign(tf.cast(exact, own.dtype))
    return narrow


def _copied(model: AssembleNet, precision: str) -> AssembleNet:
    with in_precision(precision):
        copy = AssembleNet(model.architecture, model.spec)
        copy.make_weights()
    for own, other in zip(copy.variables, model.variables, strict=True):
        own.assign(tf.cast(other, own.dtype))
    return copy


def _norm_names(layer: tf_keras.layers.Layer) -> list[str]:
    norm = tf_keras.layers.BatchNormalization
    return [name for name, own in vars(layer).items() if isinstance(own, norm)]


def _layers_with_norms(model: AssembleNet) -> list[tf_keras.layers.Layer]:
    return [layer for layer in model._flatten_layers() if _norm_names(layer)]


def _factor_and_bias(norm: tf_keras.layers.Layer) -> tuple[np.ndarray, np.ndarray]:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta = x factor + bias."""
    gamma, beta, mean, variance = (
        v.numpy().astype(np.float64)
        for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    factor = gamma / np.sqrt(variance + norm.epsilon)
    return factor, beta - mean * factor


def _put_bias(layer: tf_keras.layers.Layer, name: str, channels: int) -> ChannelBias:
    """Replaces a batch norm by a bias."""
    bias = _bias(channels, getattr(layer, name).dtype_policy, name)
    setattr(layer, name, bias)
    return bias


def _merge_peers(model: AssembleNet) -> list[tuple[MergedPeerGate, PeerAttentionGate]]:
    """Replaces one-shot gates where that saves time; returns the new ones, without weights, and the old ones."""
    replaced = []
    for block in model.blocks().values():
        gates = []
        for gate in block.gates:
            if isinstance(gate, PeerAttentionGate) and _is_worth_merging(gate):
                replaced.append((_merged(gate), gate))
                gate = replaced[-1][0]
            gates.append(gate)
        block.gates = gates
    return replaced


def _is_worth_merging(gate: PeerAttentionGate) -> bool:
    """Whether a dozen operations less outweigh the numbers that are read more, where there are several widest."""
    merged = sum(gate.candidate_channels) * gate.channels
    return merged <= max(_FEW_NUMBERS, sum(np.prod(v.shape) for v in gate.weights))


def _merged(gate: PeerAttentionGate) -> MergedPeerGate:
    merged = MergedPeerGate(
        gate.channels, gate.candidate_channels, dtype=gate.dtype_policy, name=gate.name
    )
    build_inside(merged)
    return merged


def _put_zero_biases(model: AssembleNet) -> None:
    """Tells fusions that the network answers, and lets TensorFlow fuse sums: see `WeightedFusion.zero_bias`."""
    for layer in model._flatten_layers():
        if isinstance(layer, WeightedFusion) and layer.is_weighted:
            layer.zero_bias = _bias(layer.target_channels, layer.dtype_policy, "zero_bias")


def _bias(channels: int, dtype_policy: tf_keras.mixed_precision.Policy, name: str) -> ChannelBias:
    bias = ChannelBias(channels, dtype=dtype_policy, name=name)
    build_inside(bias)
    return bias
