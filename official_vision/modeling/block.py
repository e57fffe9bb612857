"""A convolutional block: gates, fusion, and alternating residual modules (supplement A.1, A.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf
import tf_keras

from official_vision.architecture.graph import Architecture, Block
from official_vision.architecture.plan import NodePlan
from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.fusion import WeightedFusion
from official_vision.modeling.gates import (
    ChannelGate,
    MergedPeerGate,
    PeerAttentionGate,
    StaticGate,
    is_merged_quicker,
)
from official_vision.modeling.inverted import make_inverted_bottleneck
from official_vision.modeling.ops.layer import Layer, build_inside, feature_maps, register
from official_vision.modeling.residual import make_bottleneck


@register
class ConvolutionalBlock(Layer):
    """A node of levels 1 to 4.

    pooled inputs ---------------------- fusion -- module 0 -- module 1 -- ... --> output
    averages of sources -- gate each ----+
    """

    def __init__(
        self,
        gates: Sequence[tf_keras.layers.Layer],
        fusion: tf_keras.layers.Layer,
        modules: Sequence[tf_keras.layers.Layer],
        **kwargs,
    ):
        """Args:
        gates: one per connection, or none at all.
        fusion: a WeightedFusion of the inputs.
        modules: residual modules in order.
        """
        super().__init__(**kwargs)
        self.gates = _revived(gates)
        self.fusion = _revived([fusion])[0]
        self.modules = _revived(modules)

    def get_config(self) -> dict:
        config = super().get_config()
        serialize = tf_keras.saving.serialize_keras_object
        return {
            **config,
            "gates": [serialize(gate) for gate in self.gates],
            "fusion": serialize(self.fusion),
            "modules": [serialize(module) for module in self.modules],
        }

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        for gate in self.gates:
            build_inside(gate)
        build_inside(self.fusion, input_shape)
        channels = self.fusion.target_channels
        for module in self.modules:
            build_inside(module, feature_maps(channels))
            channels = module.output_channels
        super().build(input_shape)

    def call(
        self,
        inputs: Sequence[tf.Tensor],
        sources: Sequence[tf.Tensor | Sequence[tf.Tensor]],
        frames: int | tf.Tensor,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Applies the block.

        Args:
          inputs: pooled to equal sizes, each [batch * time, height, width, its channels].
          sources: what each gate reads: one average [batch * time, channels], or one per candidate;
            empty when connections are not gated.
          frames: time, a scalar.
          training: batch norm uses the batch's statistics.

        Returns:
          [batch * time, height / stride, width / stride, output channels]; sizes round up.
        """
        multipliers = [gate(source) for gate, source in zip(self.gates, sources, strict=True)]
        x = self.fusion(inputs, multipliers)
        for module in self.modules:
            x = module(x, frames, training=training)
        return x


def make_block(
    mode: str,
    block: Block,
    plan: NodePlan,
    widths: Mapping[int, int],
    architecture: Architecture,
    name: str,
    execution: Execution = PLAIN,
) -> ConvolutionalBlock:
    """Composes a block's layers.

    Args:
      mode: of the gates: none, static, self or peer.
      block: the node.
      plan: its numbers.
      widths: output channels of every earlier node.
      architecture: the graph, whose header sets the kind of module, its padding and its downsampling.
      name: of the layer.
      execution: of the network.
    """
    # Ungated connections have no sources, so that there are no gates either.
    gates = [
        _make_gate(
            mode, widths[source], read.nodes, widths, execution, f"gate_{source}_{plan.index}"
        )
        for source, read in zip(block.inputs, plan.gate_sources(mode), strict=False)
    ]
    fusion = WeightedFusion(
        plan.fusion.input_channels,
        plan.fusion.target_channels,
        block.strengths,
        execution=execution,
        name="fusion",
    )
    make_module = _LAYERS[architecture.block_kind]
    modules = [
        make_module(module, architecture, execution, f"module_{position}")
        for position, module in enumerate(plan.modules)
    ]
    return ConvolutionalBlock(gates, fusion, modules, execution=execution, name=name)


def _make_gate(
    mode: str,
    channels: int,
    read: int | tuple[int, ...],
    widths: Mapping[int, int],
    execution: Execution,
    name: str,
) -> tf_keras.layers.Layer:
    settings = {"execution": execution, "name": name}
    if mode == "static":
        return StaticGate(channels, **settings)
    if not isinstance(read, tuple):
        return ChannelGate(channels, widths[read], **settings)
    candidates = [widths[candidate] for candidate in read]
    is_merged = execution.is_folded and is_merged_quicker(channels, candidates)
    return (MergedPeerGate if is_merged else PeerAttentionGate)(channels, candidates, **settings)


# One line for each block kind: its name in architecture/block_kinds.py, and what makes a module's layer.
_LAYERS = {"bottleneck": make_bottleneck, "inverted_bottleneck": make_inverted_bottleneck}


def _revived(layers: Sequence) -> list[tf_keras.layers.Layer]:
    """Layers as they are, and saved ones (dicts) made anew."""
    revive = tf_keras.saving.deserialize_keras_object
    return [revive(layer) if isinstance(layer, Mapping) else layer for layer in layers]
