"""ModelSpec -> tf_keras.Model."""

from __future__ import annotations

from official_vision.architecture.graph import Architecture
from official_vision.architecture.zoo import load_architecture
from official_vision.modeling.network import AssembleNet
from official_vision.specs import ModelSpec


def resolve_architecture(spec: ModelSpec, architecture: Architecture | None = None) -> Architecture:
    """Returns the graph that `spec` names (or the given one) with its depth and width applied.

    Raises:
      UserError: the name is unknown, the file is missing, or the graph is not a network.
    """
    graph = architecture or load_architecture(spec.architecture)
    return graph.with_settings(spec.depth, spec.width_multiplier)


def build_model(spec: ModelSpec, architecture: Architecture | None = None) -> AssembleNet:
    """Builds the network with all its weights.

    Args:
      spec: the settings.
      architecture: the graph; None takes the one that `spec` names.

    Returns:
      An AssembleNet, called with a dict of streams; see AssembleNet.call.

    Raises:
      UserError: see `resolve_architecture`.
    """
    model = AssembleNet(resolve_architecture(spec, architecture), spec)
    model.make_weights()
    return model
