"""The network that is handed over: discrete where that changes nothing, without batch norms."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

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
) -> AssembleNet:
    """Makes the network that answers in a server or on a device.

    Args:
      model: trained; it is left as it is.
      discrete: each gate keeps its most probable peer alone, connections weaker than `threshold` go,
        and so do nodes that nothing reads any more.
      precision: float32 or bfloat16.
      threshold: strength in [0, 1]; read when `discrete`.
    """
    return folded(to_discrete(model, threshold) if discrete else model, precision)


@contextlib.contextmanager
def without_bit_sets(model: AssembleNet) -> Iterator[None]:
    """Within, what is traced of the network has only operations that TFLite has, and the same result."""
    stems = [layer for layer in model.node_layers.values() if isinstance(layer, ObjectStem)]
    before = [stem.uses_bit_sets for stem in stems]
    try:
        for stem in stems:
            stem.uses_bit_sets = False
        yield
    finally:
        for stem, own in zip(stems, before, strict=True):
            stem.uses_bit_sets = own
