"""Channel gates (AssembleNet++, arXiv 2008.08072, section 3) of maps with a time axis: each returns the gated map."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from official_vision.layers.clip_layer import ClipLayer, channels_of, register
from official_vision.modeling import gates
from official_vision.modeling.ops import frame_layout
from official_vision.modeling.ops.layer import build_inside


class _Gate(ClipLayer):
    def _scaled(self, x: tf.Tensor, multipliers: tf.Tensor) -> tf.Tensor:
        """Scales x [batch, time, height, width, channels] by multipliers [batch * time, channels]."""
        apart = frame_layout.split_time(multipliers, frame_layout.sizes(x)[1])
        return x * tf.cast(apart, x.dtype)[:, :, tf.newaxis, tf.newaxis]


@register
class StaticGate(_Gate):
    """sigmoid(v) x, where v has a learned number per channel."""

    def build(self, input_shape: tf.TensorShape) -> None:
        self.gate = gates.StaticGate(channels_of(input_shape), name="gate")
        build_inside(self.gate)
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Gates x, [batch, time, height, width, channels]."""
        return self._scaled(x, self.gate(self.average(x)))


@register
class SelfGate(_Gate):
    """sigmoid(FC(average of x)) x, channel by channel and frame by frame: squeeze and excitation."""

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = channels_of(input_shape)
        self.gate = gates.ChannelGate(channels, channels, name="gate")
        build_inside(self.gate)
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Gates x, [batch, time, height, width, channels]."""
        return self._scaled(x, self.gate(self.average(x)))


@register
class PeerGate(_Gate):
    """sigmoid(FC(average of a peer)) x: another map opens each channel of x, frame by frame."""

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        channels, peer_channels = (channels_of(shape) for shape in input_shape)
        self.gate = gates.ChannelGate(channels, peer_channels, name="gate")
        build_inside(self.gate)
        super().build(input_shape)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Gates the first map.

        Args:
          inputs: x [batch, time, height, width, channels], and its peer of the same clips, of any size and width.

        Returns:
          As x.
        """
        x, peer = inputs
        return self._scaled(x, self.gate(self.average(peer)))


@register
class PeerAttentionGate(_Gate):
    """One-shot peer attention: sigmoid(FC(sum_k softmax(h)_k map_k(average of peer k))) x, with learned h."""

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        channels, *peers = (channels_of(shape) for shape in input_shape)
        self.gate = gates.PeerAttentionGate(channels, peers, execution=self.execution, name="gate")
        build_inside(self.gate)
        super().build(input_shape)

    def peer_distribution(self) -> tf.Tensor:
        """Returns softmax(h), [peers]: how much each peer counts."""
        return self.gate.peer_distribution()

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Gates the first map.

        Args:
          inputs: x [batch, time, height, width, channels], and its candidate peers of the same clips.

        Returns:
          As x.
        """
        x, *peers = inputs
        return self._scaled(x, self.gate([self.average(peer) for peer in peers]))
