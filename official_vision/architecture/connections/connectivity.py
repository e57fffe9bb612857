"""Learned strengths and peers of a network's connections."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from official_vision.architecture.connections.derive import Derivation, derive
from official_vision.architecture.graph import Architecture
from official_vision.architecture.plan import make_plan


@dataclasses.dataclass(frozen=True)
class PeerChoice:
    """A connection's softmax over its candidate peers.

    Attributes:
      candidates: nodes of a lower level than the consumer.
      distribution: softmax(h), one probability a candidate.
    """

    candidates: tuple[int, ...]
    distribution: tuple[float, ...]

    @property
    def likeliest(self) -> int:
        """The most probable node, the earliest of equals."""
        return self.candidates[self.distribution.index(self.probability)]

    @property
    def probability(self) -> float:
        """The probability of the most probable node."""
        return max(self.distribution)

    @property
    def entropy_bits(self) -> float:
        """-sum p log2 p: 0 when one peer is certain, log2(candidates) when none is preferred."""
        return -sum(p * math.log2(p) for p in self.distribution if p > 0) + 0.0

    @property
    def entropy_share(self) -> float | None:
        """The entropy as a share of the uniform distribution's; None with a single candidate."""
        count = len(self.candidates)
        return self.entropy_bits / math.log2(count) if count > 1 else None


@dataclasses.dataclass(frozen=True)
class Learned:
    """A network with the strengths and peers that training learned.

    Attributes:
      architecture: the network, as it was built.
      strengths: sigmoid(w) of each block's connections; blocks of one input, and blocks that were
        not built, are missing.
      peer_distributions: of each block with one-shot gates, a row per connection: softmax(h) over
        `NodePlan.candidates`.
      source: where the numbers come from, e.g. checkpoint and step; plain JSON values.
    """

    architecture: Architecture
    strengths: Mapping[int, tuple[float, ...]]
    peer_distributions: Mapping[int, tuple[tuple[float, ...], ...]]
    source: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def choices(self) -> dict[tuple[int, int], PeerChoice]:
        """Returns the peers of all one-shot connections, by (source, consumer)."""
        plan = make_plan(self.architecture)
        return {
            (source, index): PeerChoice(plan[index].candidates, row)
            for index, rows in self.peer_distributions.items()
            for source, row in zip(self.architecture.nodes[index].inputs, rows, strict=True)
        }

    def likeliest_peers(self) -> dict[int, tuple[int, ...]]:
        """Returns the most probable peer of each connection, by block."""
        choices = self.choices()
        return {
            index: tuple(
                choices[source, index].likeliest for source in self.architecture.nodes[index].inputs
            )
            for index in self.peer_distributions
        }

    def derive(self, threshold: float) -> Derivation:
        """Returns the discrete network (architecture/connections/derive.py), whose provenance names its origin.

        Raises:
          ArchitectureError: a threshold outside [0, 1].
        """
        graph = self.architecture
        provenance = {**graph.provenance, "learned": dict(self.source)}
        graph = dataclasses.replace(graph, provenance=provenance)
        return derive(graph, self.strengths, self.peer_distributions, threshold)


def connection_strengths(
    architecture: Architecture, learned: Mapping[int, Sequence[float]]
) -> Iterator[tuple[int, int, float | None]]:
    """Yields (source, consumer, strength) for every connection.

    Args:
      architecture: its strengths apply where none are learned.
      learned: of each block's inputs; None is yielded where neither has any.
    """
    for index, node in enumerate(architecture.nodes):
        if not node.inputs:
            continue
        strengths = learned.get(index, node.strengths) or (None,) * len(node.inputs)
        for source, strength in zip(node.inputs, strengths, strict=True):
            yield source, index, strength


# One definition for checkpoints and models: a threshold that is exactly a connection's strength keeps it
# wherever it was read. TensorFlow would take hold of the accelerator, on which a run may train.
def strengths_of(logits: Iterable[float]) -> tuple[float, ...]:
    """Returns sigmoid(w), in double precision."""
    return tuple(_sigmoid(float(logit)) for logit in logits)


def _sigmoid(logit: float) -> float:
    power = math.exp(-abs(logit))
    return (1.0 if logit >= 0 else power) / (1.0 + power)


def distribution_of(logits: Iterable[float]) -> tuple[float, ...]:
    """Returns softmax(h), in double precision."""
    values = [float(logit) for logit in logits]
    greatest = max(values)
    powers = [math.exp(value - greatest) for value in values]
    total = math.fsum(powers)
    return tuple(power / total for power in powers)
