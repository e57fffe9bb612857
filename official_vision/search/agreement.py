"""The agreement of searches: kept connections and chosen peers, by pairs and in the mean."""

from __future__ import annotations

import dataclasses
import itertools
import os
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from official_vision.architecture.formats import read_architecture
from official_vision.architecture.graph import Architecture
from official_vision.architecture.plan import make_plan
from official_vision.errors import UserError
from official_vision.search.search_folder import DERIVED_FILE, SPACE_FILE

Connection = tuple[int, int]  # source, consumer


@dataclasses.dataclass(frozen=True)
class DerivedPeers:
    """The connections and peers that a one-shot search kept, by the node numbers of the over-connected network.

    Attributes:
      folder: of the search.
      space: the over-connected network.
      peers: each kept connection's peer; None where connections have no peer gates.
    """

    folder: str
    space: Architecture
    peers: Mapping[Connection, int | None]


@dataclasses.dataclass(frozen=True)
class Agreement:
    """The agreement of two searches.

    Attributes:
      folders: of both.
      jaccard: kept by both over kept by either, 0 to 1.
      jaccard_by_chance: for as many connections drawn at random.
      equal_peers: share of the connections kept by both that have one peer; None without peers.
      equal_peers_by_chance: for peers drawn at random among each connection's candidates.
    """

    folders: tuple[str, str]
    jaccard: float
    jaccard_by_chance: float
    equal_peers: float | None
    equal_peers_by_chance: float | None


def read_derived(folder: str | os.PathLike) -> DerivedPeers:
    """Reads the result of a one-shot search.

    Raises:
      UserError: the folder has no finished derivation.
    """
    paths = [Path(folder) / name for name in (SPACE_FILE, DERIVED_FILE)]
    if not all(path.is_file() for path in paths):
        raise UserError(
            f"Agreement is between one-shot searches that were derived. Received: {folder}, which lacks "
            f"{SPACE_FILE} or {DERIVED_FILE}. Run official-vision search with --stage=derive."
        )
    space, derived = map(read_architecture, paths)
    original = derived.provenance["derived"]["kept_nodes"]
    peers = {}
    for index, node in enumerate(derived.nodes):
        for position, source in enumerate(node.inputs):
            chosen = None if node.peers is None else original[node.peers[position]]
            peers[original[source], original[index]] = chosen
    return DerivedPeers(str(folder), space, peers)


def compare(one: DerivedPeers, other: DerivedPeers) -> Agreement:
    """Compares two searches among the same connections.

    Raises:
      UserError: their over-connected networks differ.
    """
    if one.space.nodes != other.space.nodes:
        raise UserError(
            "Searches agree or not on the same connections. Received: "
            f"{one.folder} and {other.folder}, whose {SPACE_FILE} differ. Compare searches of one space."
        )
    both = one.peers.keys() & other.peers.keys()
    either = one.peers.keys() | other.peers.keys()
    by_chance = len(one.peers) * len(other.peers) / len(list(one.space.connections()))
    gated = [c for c in both if one.peers[c] is not None and other.peers[c] is not None]
    plan = make_plan(one.space)
    return Agreement(
        (one.folder, other.folder),
        jaccard=len(both) / len(either),
        jaccard_by_chance=by_chance / (len(one.peers) + len(other.peers) - by_chance),
        equal_peers=_mean([one.peers[c] == other.peers[c] for c in gated]),
        equal_peers_by_chance=_mean([1 / len(plan[consumer].candidates) for _, consumer in gated]),
    )


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def agreements(folders: Sequence[str | os.PathLike]) -> list[Agreement]:
    """Compares each pair of several searches.

    Raises:
      UserError: fewer than two folders, or what `read_derived` and `compare` refuse.
    """
    if len(folders) < 2:
        raise UserError(
            f"Agreement is between searches. Received: {len(folders)} folder. Name two or more."
        )
    networks = [read_derived(folder) for folder in folders]
    return [compare(one, other) for one, other in itertools.combinations(networks, 2)]


def describe_agreement(folders: Sequence[str | os.PathLike]) -> str:
    """Returns one line per pair of searches, then the mean and spread over pairs, each beside chance."""
    rows = agreements(folders)
    lines = [
        f"{'kept by both / either':>22} {'(by chance)':>12} {'equal peers':>12} {'(by chance)':>12}"
    ]
    for row in rows:
        lines.append(
            f"{row.jaccard:>22.3f} {row.jaccard_by_chance:>12.3f} {_shown(row.equal_peers):>12} "
            f"{_shown(row.equal_peers_by_chance):>12}  {row.folders[0]}, {row.folders[1]}"
        )
    for name, words in (("jaccard", "connections"), ("equal_peers", "peers")):
        values = [getattr(row, name) for row in rows if getattr(row, name) is not None]
        if values:
            lines.append(
                f"{words}: mean {statistics.fmean(values):.3f}, {min(values):.3f} to {max(values):.3f} "
                f"over {len(values)} pairs"
            )
    return "\n".join(lines)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
