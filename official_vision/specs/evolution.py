"""Settings of the evolution of architectures."""

from __future__ import annotations

import dataclasses

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class EvolutionSpec(Spec):
    """A population of graphs and how it changes.

    Attributes:
      population: graphs of the first population, and of those alive at any time.
      children: graphs evaluated after the first population.
      tournament: graphs drawn at random, the best of which is the parent.
      founder_changes: random changes that make a graph of the first population from the given one.
      guided: drop weak connections rather than strong ones; False for plain random mutation.
      seed: of all chance; child number n draws from (seed, n).
    """

    population: int = setting(8, low=2)
    children: int = setting(32, low=1)
    tournament: int = setting(3, low=1)
    founder_changes: int = setting(4, low=1)
    guided: bool = True
    seed: int = setting(0, low=0)
