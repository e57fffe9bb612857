"""The arguments and the result of every converter of weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from official_vision.architecture.graph import Architecture
from official_vision.conversion.coverage import Coverage
from official_vision.errors import UserError
from official_vision.modeling.network import AssembleNet
from official_vision.specs import ModelSpec


@dataclasses.dataclass(frozen=True)
class Options:
    """The user's settings of a conversion, besides the path.

    Attributes:
      spec: the model's settings as the user's gin files and bindings give them.
      structure: file of the architecture: the authors' nested lists, or a JSON file of this package; empty for
        none.
      params: the run's params.yaml; empty looks beside the checkpoint.
      averaged: takes the moving averages of the weights (EMA).
      depth: 26 to 101; None leaves it to the file.
      num_classes: of the network; None leaves it to the file.
      labels: class names; None where they are unknown.
    """

    spec: ModelSpec = dataclasses.field(default_factory=ModelSpec)
    structure: str = ""
    params: str = ""
    averaged: bool = False
    depth: int | None = None
    num_classes: int | None = None
    labels: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Converted:
    """A network with another program's weights.

    Attributes:
      architecture: the graph as the model was built from it.
      spec: the model's settings.
      model: with its weights.
      coverage: where they come from.
      labels: class names, in the order of the logits; None where they are not known.
    """

    architecture: Architecture
    spec: ModelSpec
    model: AssembleNet
    coverage: Coverage
    labels: tuple[str, ...] | None = None


def with_fixed(spec: ModelSpec, fixed: Mapping[str, Any], source: str) -> ModelSpec:
    """Returns the user's settings with those that a file fixes.

    Args:
      spec: of the user; a setting at its default counts as unset.
      fixed: settings by name.
      source: what fixes them, for the error.

    Raises:
      UserError: the user gives another value than the file has.
    """
    usual = ModelSpec()
    for name, value in fixed.items():
        value_set = getattr(spec, name)
        if value_set not in (getattr(usual, name), value):
            raise UserError(
                f"ModelSpec.{name} must be what {source} was trained with, {value!r}. Received: {value_set!r}. "
                "Leave it out."
            )
    return dataclasses.replace(spec, **fixed)
