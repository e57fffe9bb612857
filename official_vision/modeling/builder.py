"""Builds the Keras model of a ModelSpec."""

from __future__ import annotations

from official_vision.architecture.graph import Architecture
from official_vision.architecture.zoo import load_architecture
from official_vision.modeling.execution import Execution
from official_vision.modeling.network import AssembleNet
from official_vision.specs import ModelSpec


def resolve_architecture(spec: ModelSpec) -> Architecture:
    """Returns the graph that `spec` names, with its depth and width applied.

    Raises:
      UserError: the name is unknown, the file is missing, or the graph is not a network.
    """
    graph = load_architecture(spec.architecture)
    return graph.with_settings(spec.depth, spec.width_multiplier)


def build_model(
    spec: ModelSpec,
    architecture: Architecture | None = None,
    execution: Execution | None = None,
) -> AssembleNet:
    """Builds the network with all its weights.

    Args:
      spec: the settings.
      architecture: the graph to build, in place of the name, depth and width in `spec`; None
        takes what `resolve_architecture` makes of `spec`.
      execution: how the network computes; None takes training on this machine, with nothing recomputed.

    Returns:
      An AssembleNet, called with a dict of streams; see AssembleNet.call.

    Raises:
      UserError: see `resolve_architecture`.
    """
    model = AssembleNet(architecture or resolve_architecture(spec), spec, execution)
    model.make_weights()
    return model
