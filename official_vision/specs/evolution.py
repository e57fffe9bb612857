"""Settings of the evolution of architectures."""

from __future__ import annotations

import dataclasses
from typing import Any

from official_vision.specs.spec import Spec, setting


@dataclasses.dataclass(frozen=True)
class EvolutionSpec(Spec):
    """Evolution of architectures: a population of graphs and how it changes.

    Attributes:
      population: graphs of the first population, and of those alive at any time.
      children: graphs evaluated after the first population.
      tournament: graphs drawn at random, the best of which is the parent.
      founder_changes: random changes that make a graph of the first population from ModelSpec.architecture.
      connections_share: share of children with other connections than their parent; the others have a block
        split, two merged, another dilation or another peer.
      guided: keep each connection with its learned strength as the probability; False for random mutation,
        which drops as many at random.
      seed: seed of all random choices; child number n draws from (seed, n).
      at_once: children evaluated at the same time, which share the GPUs; parents are drawn from the population before
        them.
      backend: where children are trained: processes (on this machine) or ray (on a Ray cluster; each
        node must see SearchSpec.output and the data under the same paths).
      ray_address: address of the cluster, as for ray.init; empty begins one on this machine.
    """

    population: int = setting(8, low=2)
    children: int = setting(32, low=1)
    tournament: int = setting(3, low=1)
    founder_changes: int = setting(4, low=1)
    connections_share: float = setting(0.5, low=0, high=1)
    guided: bool = True
    seed: int = setting(0, low=0, high=2**32 - 1)
    at_once: int = setting(1, low=1)
    backend: str = setting("processes", choices=("processes", "ray"))
    ray_address: str = ""

    def of_the_result(self) -> dict[str, Any]:
        """Returns the settings that decide the result; where children are trained does not."""
        return {k: v for k, v in self.to_dict().items() if k not in ("backend", "ray_address")}
