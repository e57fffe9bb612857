"""The network that is exported: discrete where that changes no score, without batch norms."""

from __future__ import annotations

from official_vision.modeling.execution import inference_execution
from official_vision.modeling.gates import OneShotGate
from official_vision.modeling.inference.discretise import to_discrete
from official_vision.modeling.inference.folding import folded
from official_vision.modeling.network import AssembleNet


def has_candidates(model: AssembleNet) -> bool:
    """Returns whether any gate still weighs several peers."""
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
    """Makes the network that serves clients or runs on a device.

    Args:
      model: trained; it is left as it is.
      discrete: each gate keeps its most probable peer alone, connections weaker than `threshold` go,
        and so do nodes that nothing reads any more.
      precision: float32 or bfloat16.
      threshold: strength in [0, 1]; read when `discrete`.
      compiled_flow: XLA compiles a computed flow; not every server has XLA.
    """
    execution = inference_execution(model.spec, compiled_flow)
    return folded(to_discrete(model, threshold) if discrete else model, precision, execution)
