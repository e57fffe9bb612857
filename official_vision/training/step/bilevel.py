"""Bilevel updates (DARTS, Liu et al. 2019, first order): which half of the records moves which variables.

    records of half 0 --> loss --> gradients of the network's weights --+
                                                                        +-- one step of both optimizers
    records of half 1 --> loss --> gradients of w and h alone ----------+

Both gradients are taken at the same point, before either group moves; DARTS takes the second after
the first has moved, by one learning rate's step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from official_vision.errors import UserError
from official_vision.modeling.network import weights_and_connections


@dataclasses.dataclass(frozen=True)
class Side:
    """A batch and the variables that it moves.

    Attributes:
      inputs: (features, targets) of data/input/pipeline.py.
      variables: that its loss moves.
      has_terms: whether what a search adds to the loss belongs here: it depends on w and h alone.
    """

    inputs: Any
    variables: list[tf.Variable]
    has_terms: bool


def check_sides(variables: Sequence[tf.Variable]) -> None:
    """Refuses a network in which one of the two sides has nothing to move.

    Args:
      variables: that train.

    Raises:
      UserError: there is no weight, or neither w nor h, among them.
    """
    weights, connections = map(len, weights_and_connections(variables))
    if not weights or not connections:
        raise UserError(
            "Bilevel updates need weights, and strengths or peers to learn. Received: "
            f"{weights} weights and {connections} of strengths and peers that train. "
            "Set ConnectivitySpec.updates = 'joint', or choose an architecture with more connections."
        )


def split_sides(inputs: tuple[Any, Any], variables: Sequence[tf.Variable]) -> list[Side]:
    """Shares out variables to the two batches of a bilevel step.

    Args:
      inputs: a batch of each half.
      variables: that train.
    """
    weights, connections = weights_and_connections(variables)
    return [Side(inputs[0], weights, False), Side(inputs[1], connections, True)]


def seen(sides: Sequence[Side]) -> dict[str, tf.Tensor]:
    """Returns the mask and the videos of all batches of a step, concatenated."""
    names = [name for name in ("mask", "video") if name in sides[0].inputs[1]]
    return {name: tf.concat([side.inputs[1][name] for side in sides], axis=0) for name in names}
