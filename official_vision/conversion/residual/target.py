"""The network that receives a residual network's weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from official_vision.architecture.graph import MODULES_BY_DEPTH, Architecture
from official_vision.architecture.zoo import load_architecture
from official_vision.conversion.converted import Options, with_fixed
from official_vision.conversion.coverage import INFLATED, LOADED, Weight
from official_vision.conversion.residual.trunk import Trunk
from official_vision.errors import UserError
from official_vision.specs import ModelSpec

# What all residual networks of Keras and PyTorch have in common, by the names of the Architecture.
RESNET_HEADER = {
    "rgb_pool_size": 3,
    "convolution_padding": "symmetric",
    "stem_pool_padding": "symmetric",
    "downsampling": "middle",
}


def target_of(
    options: Options, usual: str, depth: int | None, header: dict[str, Any]
) -> Architecture:
    """Returns the user's network, or the usual one, with the convolutions as the weights need them.

    Args:
      options: --structure, else ModelSpec.architecture where it is not the default, names the network.
      usual: name of the zoo where the user names none.
      depth: of the usual network, as the file has it.
      header: padding and such, by the names of the Architecture.

    Raises:
      UserError: there is no such network, or it has inverted bottlenecks.
    """
    named = options.structure
    if not named and options.spec.architecture != ModelSpec().architecture:
        named = options.spec.architecture
    graph = load_architecture(named or usual)
    if graph.block_kind != "bottleneck":
        raise UserError(
            "Residual networks' weights fit bottleneck blocks alone. "
            f"Received: {named}, whose blocks are of kind {graph.block_kind}. Name another network."
        )
    wanted = options.depth or options.spec.depth or (None if named else depth)
    graph = graph.with_settings(wanted, options.spec.width_multiplier)
    return dataclasses.replace(graph, **header)


def with_unset(spec: ModelSpec, settings: dict[str, Any]) -> ModelSpec:
    """Returns the user's settings, with these values in the place of defaults."""
    usual = ModelSpec()
    unset = {
        name: value
        for name, value in settings.items()
        if getattr(spec, name) == getattr(usual, name)
    }
    return dataclasses.replace(spec, **unset)


def with_classes(spec: ModelSpec, options: Options, trunk: Trunk, path: str) -> ModelSpec:
    """Returns the settings with the file's number of classes, unless the user sets --num_classes.

    Raises:
      UserError: ModelSpec.num_classes is another.
    """
    classes = options.num_classes or trunk.classes
    if classes is None:
        return spec
    spec = with_fixed(spec, {"num_classes": classes}, path)
    # Both frameworks' classifiers are trained for one label per picture or clip.
    return with_unset(spec, {"activation": "softmax"}) if classes == trunk.classes else spec


def check_some_fit(weights: Iterable[Weight], path: str, name: str) -> None:
    """Refuses a conversion in which no tensor fits.

    Raises:
      UserError: all weights are a new network's.
    """
    if not any(weight.status in (LOADED, INFLATED) and weight.source for weight in weights):
        raise UserError(
            f"Some layer of the network must have the widths of the file's. Received: {path}, of which nothing fits "
            f"{name}. Name another network by --structure."
        )


def depth_of(trunk: Trunk, path: str) -> int:
    """Returns the depth's usual name, 26 to 101.

    Raises:
      UserError: levels have other numbers of modules.
    """
    depths = {modules: depth for depth, modules in MODULES_BY_DEPTH.items()}
    if trunk.modules not in depths:
        raise UserError(
            "Residual modules of levels 1 to 4 must be those of a known depth: (3, 4, 6, 3) of ResNet-50, "
            f"(3, 4, 23, 3) of ResNet-101. Received: {path}, with {trunk.modules}. Name another file."
        )
    return depths[trunk.modules]
