"""The network that is handed over: discrete where that changes nothing, without batch norms."""

from __future__ import annotations

from official_vision.modeling.folding import folded
from official_vision.modeling.gates import PeerAttentionGate
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.stems import ObjectStem
from official_vision.modeling.transfer import to_discrete


def has_candidates(model: AssembleNet) -> bool:
    """Tells whether any gate still weighs several peers."""
    return any(
        isinstance(gate, PeerAttentionGate)
        for block in model.blocks().values()
        for gate in block.gates
    )


def inference_network(
    model: AssembleNet,
    *,
    discrete: bool,
    precision: str = "float32",
    threshold: float = 0.0,
    for_tflite: bool = False,
) -> AssembleNet:
    """Makes the network that answers in a server or on a device.

    Args:
      model: trained; it is left as it is.
      discrete: each gate keeps its most probable peer alone, connections weaker than `threshold` go,
        and so do nodes that nothing reads any more.
      precision: float32 or bfloat16.
      threshold: strength in [0, 1]; read when `discrete`.
      for_tflite: only operations that TFLite has.
    """
    network = folded(to_discrete(model, threshold) if discrete else model, precision)
    for layer in network.node_layers.values():
        if for_tflite and isinstance(layer, ObjectStem):
            layer.uses_bit_sets = False
    return network
