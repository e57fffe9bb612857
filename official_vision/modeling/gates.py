"""Channel gates: what opens each channel of a connection, frame by frame (REFERENCE section 5).

A gate returns multipliers in (0, 1), one a channel of the connection's input; the fusion applies
them. Sources are spatial averages of whole nodes, which all consumers share.

    static   sigmoid(v)                                  v learned, no source
    self     sigmoid(FC(average of x_j))                 ChannelGate on the input itself
    peer     sigmoid(FC(average of x_k))                 ChannelGate on the chosen peer k (discrete)
    peer     sigmoid(FC(sum_k softmax(h)_k map_k(average of x_k)))    PeerAttentionGate (one-shot)
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from official_vision.modeling.layer import Layer, register

INITIAL_DEVIATION = 0.01


def _initializer() -> tf_keras.initializers.Initializer:
    return tf_keras.initializers.RandomNormal(stddev=INITIAL_DEVIATION)


@register
class StaticGate(Layer):
    """A learned multiplier a channel, the same for every clip and frame."""

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

    def __init__(self, channels: int, **kwargs):
        """Args:
        channels: of the gated input.
        """
        super().__init__(**kwargs)
        self.channels = channels
        self.dense = tf_keras.layers.Dense(
            channels, kernel_initializer=_initializer(), name="dense"
        )

    def call(self, source: tf.Tensor) -> tf.Tensor:
        """Computes the multipliers.

        Args:
          source: spatial average of the source node, [batch * time, source channels].

        Returns:
          [batch * time, channels], in (0, 1).
        """
        return tf.sigmoid(self.dense(source))


@register
class PeerAttentionGate(Layer):
    """One-shot peer attention: all candidates at once, weighted by a softmax that learns which matters.

    Candidates of equal width are the widest ones; narrower ones pass a linear map first.
    """

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
        widest = max(self.candidate_channels)
        # A list with gaps would not be tracked, so maps are kept by the candidate's position.
        self.maps = {
            str(position): tf_keras.layers.Dense(widest, use_bias=False, name=f"map_{position}")
            for position, width in enumerate(self.candidate_channels)
            if width != widest
        }

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        self.peer_logits = self.add_weight(
            "peer_logits", [len(self.candidate_channels)], initializer=_initializer()
        )
        super().build(input_shape)

    def peer_distribution(self) -> tf.Tensor:
        """Returns softmax(h), [candidates]: how much each candidate counts."""
        return tf.nn.softmax(tf.cast(self.peer_logits, tf.float32))

    def call(self, sources: Sequence[tf.Tensor]) -> tf.Tensor:
        """Computes the multipliers.

        Args:
          sources: spatial averages of the candidates, each [batch * time, candidate channels].

        Returns:
          [batch * time, channels], in (0, 1).
        """
        weights = tf.unstack(tf.cast(self.peer_distribution(), self.compute_dtype))
        mapped = (
            self.maps[str(position)](source) if str(position) in self.maps else source
            for position, source in enumerate(sources)
        )
        return tf.sigmoid(
            self.dense(tf.add_n([w * x for w, x in zip(weights, mapped, strict=True)]))
        )
