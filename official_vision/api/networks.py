"""Networks in Python: choose a graph, see what it costs, draw it, build it as a Keras model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from official_vision.architecture import zoo
from official_vision.architecture.cost import network_cost
from official_vision.architecture.drawing.draw import draw as draw_architecture
from official_vision.architecture.graph import Architecture
from official_vision.errors import check_names
from official_vision.specs import ModelSpec

if TYPE_CHECKING:
    from official_vision.modeling.network import AssembleNet


def architectures() -> tuple[str, ...]:
    """Returns the names of the published networks and baselines that `load_architecture` knows.

    >>> architectures()[0]
    'assemblenet_plus_plus_50'
    """
    return tuple(zoo.ZOO)


def load_architecture(
    name_or_path: str | os.PathLike,
    *,
    depth: int | None = None,
    width_multiplier: float | None = None,
) -> Architecture:
    """Returns a network's graph: its nodes, connections and channels.

    >>> graph = load_architecture("assemblenet_plus_plus_50")
    >>> len(graph.nodes), len(list(graph.connections()))
    (15, 46)

    Args:
      name_or_path: a name of `architectures`, or a .json file of an architecture.
      depth: convolutional layers, 26, 50 or 101; None keeps the graph's.
      width_multiplier: of every convolution's channels; None keeps the graph's.

    Raises:
      UserError: an unknown name, a file without an architecture, or settings that don't fit it.
    """
    return zoo.load_architecture(os.fspath(name_or_path)).with_settings(depth, width_multiplier)


def build_model(
    architecture: str | os.PathLike | Architecture = "assemblenet_plus_plus_50",
    num_classes: int | None = None,
    **settings: Any,
) -> AssembleNet:
    """Builds a network with initial weights, as a tf_keras model.

    The model takes a dict of streams: rgb [batch, time, height, width, 3] in 0..255, flow
    [batch, time, height, width, 2] in pixels per frame, objects [batch, time, height, width] ids; which
    of them, `model.streams` says. It returns a dict of logits [batch, num_classes] and frame_logits
    [batch, time, num_classes], float32. Batch, time, height and width are free. `compile` and `fit` take
    labels as for a model that returns the logits alone.

    >>> model = build_model("assemblenet_50", num_classes=10, width_multiplier=0.125)
    >>> model.streams
    ('rgb', 'flow')

    Args:
      architecture: a name of `architectures`, a .json file, or a graph.
      num_classes: of the classifier.
      **settings: fields of `ModelSpec`, e.g. gate="self", frame_pooling="mean", flow_source="computed".

    Raises:
      UserError: an unknown setting, or a value that is out of range.
    """
    from official_vision.modeling.builder import build_model as build

    check_names(settings, ModelSpec.__dataclass_fields__, "ModelSpec")
    graph = None
    if isinstance(architecture, Architecture):
        graph = architecture
    else:
        settings["architecture"] = os.fspath(architecture)
    spec = ModelSpec(num_classes=num_classes, **settings)
    if graph is not None:
        graph = graph.with_settings(spec.depth, spec.width_multiplier)
    return build(spec, graph)


def estimate_cost(
    architecture: str | os.PathLike | Architecture = "assemblenet_plus_plus_50", **settings: Any
) -> network_cost.Cost:
    """Works out what a network costs on one clip, without building it.

    >>> cost = estimate_cost("assemblenet_50", gate="none", frames=16, size=112, num_classes=400)
    >>> cost.total.trainable
    37398892

    Args:
      architecture: as of `build_model`.
      **settings: fields of `official_vision.architecture.cost.network_cost.Setting`: gate, frames, size,
        num_classes, num_object_classes, frame_pooling, flow_source, flow_iterations.

    Returns:
      The cost of each node and connection; `total.trainable` counts parameters, `total.flops`
      floating-point operations of convolutions and fully connected layers in a forward pass of one clip.

    Raises:
      UserError: as of `load_architecture`, an unknown setting, or a value that is out of range.
    """
    check_names(settings, network_cost.Setting.__dataclass_fields__, "Setting")
    return network_cost.estimate(_graph(architecture), network_cost.Setting(**settings))


def draw(
    architecture: str | os.PathLike | Architecture,
    path: str | os.PathLike,
    *,
    strengths: Mapping[int, Sequence[float]] | None = None,
    peers: Mapping[int, Sequence[int]] | None = None,
) -> None:
    """Draws a network: levels as columns, streams as colours, connections as wide as they are strong.

    Args:
      architecture: as of `build_model`.
      path: file to write, .svg or .png.
      strengths: of each block's inputs by the block's index, in (0, 1); None takes the graph's.
      peers: of each block the peer of each input; None takes the graph's.

    Raises:
      UserError: as of `load_architecture`, or another suffix.
    """
    draw_architecture(_graph(architecture), path, strengths, peers)


def _graph(architecture: str | os.PathLike | Architecture) -> Architecture:
    if isinstance(architecture, Architecture):
        return architecture
    return load_architecture(architecture)
