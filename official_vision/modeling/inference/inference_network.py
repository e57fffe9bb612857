"""The network that is handed over: discrete where that changes nothing, without batch norms."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from official_vision.modeling.gates import OneShotGate
from official_vision.modeling.inference.discretise import to_discrete
from official_vision.modeling.inference.folding import folded
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.sums import in_pairs
from official_vision.modeling.stems import ObjectStem


def has_candidates(model: AssembleNet) -> bool:
    """Tells whether any gate still weighs several peers."""
    return any(
        isinstance(gate, OneShotGate) for block in model.blocks().values() for gate in block.gates
    )


def inference_network(
    model: AssembleNet,
    *,
    discrete: bool,
    precision: str = "float32",
    threshold: float = 0.0,
    compiled_flow: bool = False,
) -> AssembleNet:
    """Makes the network that answers in a server or on a device.

    Args:
      model: trained; it is left as it is.
      discrete: each gate keeps its most probable peer alone, connections weaker than `threshold` go,
        and so do nodes that nothing reads any more.
      precision: float32 or bfloat16.
      threshold: strength in [0, 1]; read when `discrete`.
      compiled_flow: XLA compiles a computed flow, in whatever runs the network; not every server has it.
    """
    network = folded(to_discrete(model, threshold) if discrete else model, precision)
    if hasattr(network, "flow"):
        network.flow.compiled = compiled_flow
        network.flow.stretch = "clip"  # a server's batches hold clips of several clients
    for stem in _object_stems(network):
        stem.shows_present_alone = True
    return network


@contextlib.contextmanager
def in_tflite_operations(model: AssembleNet) -> Iterator[None]:
    """Within, what is traced of the network has only operations that TFLite has, and the same result."""
    settings = [
        (stem, name)
        for stem in _object_stems(model)
        for name in ("counts_ids", "shows_present_alone")
    ]
    settings += [(block.fusion, "scales_kernels") for block in model.blocks().values()]
    settings += [(model.flow, "compiled")] if hasattr(model, "flow") else []
    before = [getattr(*own) for own in settings]
    try:
        for own in settings:
            setattr(*own, False)
        with in_pairs():
            yield
    finally:
        for own, value in zip(settings, before, strict=True):
            setattr(*own, value)


def _object_stems(model: AssembleNet) -> list[ObjectStem]:
    return [layer for layer in model.node_layers.values() if isinstance(layer, ObjectStem)]
