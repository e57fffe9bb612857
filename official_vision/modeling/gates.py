"""Gates, which scale each channel of a connection in each frame (AssembleNet++, arXiv 2008.08072).

A gate returns multipliers in (0, 1), one per channel of the connection's input; the fusion applies
them. Sources are spatial averages of whole nodes, which all consumers share.

    static   sigmoid(v)                                  v learned, no source
    self     sigmoid(FC(average of x_j))                 ChannelGate on the input itself
    peer     sigmoid(FC(average of x_k))                 ChannelGate on the chosen peer k (discrete)
    peer     sigmoid(FC(sum_k softmax(h)_k map_k(average of x_k)))    PeerAttentionGate (one-shot)
    peer     the same of an inference network                   MergedPeerGate
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from official_vision.modeling.ops import thresholds
from official_vision.modeling.ops.elementwise import sum_of
from official_vision.modeling.ops.layer import Layer, build_inside, register

INITIAL_DEVIATION = 0.01


def _initializer() -> tf_keras.initializers.Initializer:
    return tf_keras.initializers.RandomNormal(stddev=INITIAL_DEVIATION)


@register
class StaticGate(Layer):
    """A learned multiplier per channel, the same for every clip and frame."""

    def __init__(self, channels: int, **kwargs):
        """Args:
        channels: of the gated input.
        """
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape: tf.TensorShape) -> None:
        self.logits = self.add_weight("logits", [self.channels], initializer=_initializer())
        super().build(input_shape)

    def call(self, source: tf.Tensor) -> tf.Tensor:
        """Returns the multipliers, [batch * time, channels]; `source` only gives the number of rows."""
        return tf.repeat(tf.sigmoid(self.logits)[tf.newaxis], tf.shape(source)[0], axis=0)


@register
class ChannelGate(Layer):
    """A fully connected layer over one node's spatial average, then a sigmoid.

    On the input itself it is squeeze-and-excitation's self gate; on another node, a peer gate.
    """

    def __init__(self, channels: int, source_channels: int, **kwargs):
        """Args:
        channels: of the gated input.
        source_channels: width of the node that the gate reads.
        """
        super().__init__(**kwargs)
        self.channels = channels
        self.source_channels = source_channels
        self.dense = tf_keras.layers.Dense(
            channels, kernel_initializer=_initializer(), name="dense"
        )

    def build(self, input_shape: tf.TensorShape) -> None:
        build_inside(self.dense, tf.TensorShape([None, self.source_channels]))
        super().build(input_shape)

    def call(self, source: tf.Tensor) -> tf.Tensor:
        """Computes the multipliers.

        Args:
          source: spatial average of the source node, [batch * time, source channels].

        Returns:
          [batch * time, channels], in (0, 1).
        """
        return tf.sigmoid(self.dense(source))


class OneShotGate(Layer):
    """The common part of one-shot peer gates: candidates, a softmax over them, a fully connected layer."""

    def __init__(self, channels: int, candidate_channels: Sequence[int], **kwargs):
        """Args:
        channels: of the gated input.
        candidate_channels: width of each candidate, in the order of the sources.
        """
        super().__init__(**kwargs)
        self.channels = channels
        self.candidate_channels = tuple(candidate_channels)
        self.dense = tf_keras.layers.Dense(
            channels, kernel_initializer=_initializer(), name="dense"
        )

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        self.peer_logits = self.add_weight(
            "peer_logits", [len(self.candidate_channels)], initializer=_initializer()
        )
        super().build(input_shape)

    def peer_distribution(self) -> tf.Tensor:
        """Returns softmax(h), [candidates]: how much each candidate counts."""
        return tf.nn.softmax(tf.cast(self.peer_logits, tf.float32))


@register
class PeerAttentionGate(OneShotGate):
    """One-shot peer attention: all candidates at once, weighted by a softmax that learns which matters.

    Candidates of equal width are the widest ones; narrower ones pass a linear map first. One matrix
    stores the maps, as the weighted sum of mapped candidates is the product of the weighted
    candidates side by side with their maps one below the other.
    """

    def __init__(self, channels: int, candidate_channels: Sequence[int], **kwargs):
        super().__init__(channels, candidate_channels, **kwargs)
        self._width = max(self.candidate_channels)
        positions = range(len(self.candidate_channels))
        self._widest = [p for p in positions if self.candidate_channels[p] == self._width]
        self._narrow = [p for p in positions if self.candidate_channels[p] < self._width]
        # Of each row of the maps' matrix: an array, since Keras wraps every item of a list.
        widths = [self.candidate_channels[p] for p in self._narrow]
        self._candidate_of_row = np.repeat(np.array(self._narrow, np.int32), widths)
        if self._narrow:
            # By the output's width alone: how many candidates share the matrix must not matter.
            initializer = tf_keras.initializers.VarianceScaling(2.0, "fan_out", "uniform")
            self.maps = tf_keras.layers.Dense(
                self._width, use_bias=False, kernel_initializer=initializer, name="maps"
            )

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        super().build(input_shape)
        if self._narrow:
            build_inside(self.maps, tf.TensorShape([None, len(self._candidate_of_row)]))
        build_inside(self.dense, tf.TensorShape([None, self._width]))

    def candidate_map(self, position: int) -> tf.Tensor:
        """Returns a candidate's linear map, [its channels, widest]; identity for the widest ones."""
        if position in self._widest:
            return tf.eye(self._width)
        first = int(np.argmax(self._candidate_of_row == position))
        return self.maps.kernel[first : first + self.candidate_channels[position]]

    def call(self, sources: Sequence[tf.Tensor]) -> tf.Tensor:
        """Computes the multipliers.

        Args:
          sources: spatial averages of the candidates, each [batch * time, candidate channels].

        Returns:
          [batch * time, channels], in (0, 1).
        """
        distribution = tf.cast(self.peer_distribution(), self.compute_dtype)
        weights = tf.unstack(distribution)
        mixed = [weights[position] * sources[position] for position in self._widest]
        if self._narrow:
            beside = tf.concat([sources[position] for position in self._narrow], axis=-1)
            mixed.append(self.maps(beside * tf.gather(distribution, self._candidate_of_row)))
        return tf.sigmoid(self.dense(sum_of(mixed, self.execution)))


def is_merged_quicker(channels: int, candidate_channels: Sequence[int]) -> bool:
    """Returns whether saving a dozen operations outweighs the extra numbers that `MergedPeerGate` reads.

    Args:
      channels: of the gated input.
      candidate_channels: width of each candidate, of which several may be the widest.
    """
    widest = max(candidate_channels)
    maps = sum(width for width in candidate_channels if width < widest) * widest
    apart = len(candidate_channels) + maps + (widest + 1) * channels
    return sum(candidate_channels) * channels <= max(thresholds.FEW_NUMBERS, apart)


@register
class MergedPeerGate(OneShotGate):
    """A one-shot gate that is not trained any more: shares, maps and fully connected layer in one matrix.

    All three are linear, one after the other. Of a dozen operations one product is left, of fewer numbers
    where the gated input is narrower than the widest candidate. The peer logits only show which nodes open it.
    """

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        super().build(input_shape)
        build_inside(self.dense, tf.TensorShape([None, sum(self.candidate_channels)]))

    @staticmethod
    def merged(gate: PeerAttentionGate) -> tuple[np.ndarray, np.ndarray]:
        """Returns the kernel [candidates' channels, channels] and bias of a gate that computes the same, float64."""
        kernel, bias = (v.numpy().astype(np.float64) for v in (gate.dense.kernel, gate.dense.bias))
        shares = gate.peer_distribution().numpy()
        rows = [share * (gate.candidate_map(k).numpy() @ kernel) for k, share in enumerate(shares)]
        return np.concatenate(rows), bias

    def call(self, sources: Sequence[tf.Tensor]) -> tf.Tensor:
        """Computes the multipliers; as `PeerAttentionGate.call`."""
        return tf.sigmoid(self.dense(tf.concat(list(sources), axis=-1)))
