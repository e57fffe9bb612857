"""Derives the discrete network from a trained one-shot network: its connections and its weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.graph import Architecture
from official_vision.errors import UserError
from official_vision.modeling.inference.discretise import (
    learned_strengths,
    peer_distributions,
    to_discrete,
)
from official_vision.modeling.network import AssembleNet
from official_vision.specs import SearchSpec
from official_vision.training.clip_scoring import Trained
from official_vision.training.step.precise_batch_norm import recompute_on_training_data

# Within these tolerances a network's strengths and peers are as they were initialised.
_UNMOVED_STRENGTH = 0.02
_UNDECIDED_SHARE = 0.999


@dataclasses.dataclass(frozen=True)
class Discrete:
    """The discrete network of a one-shot network.

    Attributes:
      architecture: with its provenance.
      model: with inherited weights.
      learned: strengths and peers of the one-shot network.
      threshold: that was applied.
    """

    architecture: Architecture
    model: AssembleNet
    learned: Learned
    threshold: float


def make_discrete(one_shot: Trained, spec: SearchSpec, provenance: dict[str, Any]) -> Discrete:
    """Keeps the strong connections with their chosen peers and weights.

    Args:
      one_shot: the trained network.
      spec: threshold or share of connections to keep.
      provenance: the record of the search in the architecture file, plain JSON values.

    Raises:
      UserError: nothing has been learned, or nothing would stay.
    """
    model = one_shot.model
    source = {"checkpoint": one_shot.checkpoint, "step": one_shot.step, **provenance}
    learned = Learned(
        model.architecture, learned_strengths(model), peer_distributions(model), source
    )
    check_learned(learned)
    threshold = threshold_of(learned, spec)
    with one_shot.strategy.scope():
        discrete = to_discrete(model, threshold)
    recompute_norms(discrete, one_shot)
    return Discrete(learned.derive(threshold).architecture, discrete, learned, threshold)


def check_learned(learned: Learned) -> None:
    """Refuses a network whose strengths and peers are still as they were drawn.

    Raises:
      UserError: so it is, or there is neither.
    """
    strengths = [strength for row in learned.strengths.values() for strength in row]
    shares = [choice.entropy_share for choice in learned.choices().values()]
    moved = [abs(strength - 0.5) for strength in strengths]
    decided = [share for share in shares if share is not None]
    if any(by > _UNMOVED_STRENGTH for by in moved):
        return
    if any(share < _UNDECIDED_SHARE for share in decided):
        return
    raise UserError(
        "A search must have learned strengths or peers before it is made discrete. Received: "
        f"{learned.architecture.name} at step {learned.source['step']}, whose {len(strengths)} strengths lie "
        f"within {_UNMOVED_STRENGTH} of 0.5 and whose {len(decided)} choices of peers are even. "
        "Raise TrainSpec.steps or architecture/OptimizerSpec.learning_rate."
    )


def threshold_of(learned: Learned, spec: SearchSpec) -> float:
    """Returns the strength below which connections are dropped.

    With `keep_share` it is that of the weakest connection to keep, counted over blocks with several
    inputs; blocks keep their strongest one besides.

    Raises:
      UserError: no connection is as strong as the threshold.
    """
    strengths = sorted((s for row in learned.strengths.values() for s in row), reverse=True)
    if spec.keep_share is not None:
        return strengths[math.ceil(spec.keep_share * len(strengths)) - 1] if strengths else 0.0
    if strengths and spec.threshold > strengths[0]:
        raise UserError(
            "SearchSpec.threshold must leave connections. Received: "
            f"{spec.threshold:g}, and the strongest of {len(strengths)} has {strengths[0]:.4f}. "
            "Lower it, or set SearchSpec.keep_share."
        )
    return spec.threshold


def recompute_norms(model: AssembleNet, trained: Trained) -> None:
    """Gives batch norms the statistics of the smaller network, where TrainSpec sets precise ones."""
    if count := trained.config.train.precise_batch_norm_batches:
        recompute_on_training_data(model, trained.config, count, trained.strategy)


def emptied_blocks(learned: Learned, threshold: float) -> Sequence[int]:
    """Returns the blocks without a connection above the threshold, which keep one nevertheless."""
    return [index for index, row in learned.strengths.items() if max(row) < threshold]
