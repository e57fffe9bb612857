"""Strengths and peers over the steps of a run, for the slider and the curves of the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.graph import Block
from official_vision.training.observation.connection_log import mean_entropy_share

MOST_MOMENTS = 240  # the slider has no use for more; a page of thousands would open slowly
_DIGITS = 4


def thinned(records: Sequence[Learned]) -> list[Learned]:
    """Returns at most MOST_MOMENTS of the records, evenly chosen, the first and the last among them."""
    return evenly_chosen(records, MOST_MOMENTS)


def evenly_chosen(values: Sequence[Any], most: int) -> list[Any]:
    """Returns at most `most` of the values in their order, the first and the last among them."""
    if len(values) <= most:
        return list(values)
    last, count = len(values) - 1, most - 1
    return [values[(number * last + count // 2) // count] for number in range(most)]


def timeline(records: Sequence[Learned]) -> dict[str, Any]:
    """Returns every moment's strengths and peers as JSON values.

    Args:
      records: of one network, in the order of steps; see `thinned`.

    Returns:
      steps; strengths, a row per moment with a number per connection (in the order of
      `Architecture.connections`), None where a block's only input has none; candidates, a connection's
      possible peers, empty without one-shot gates; peers, a row per moment with a distribution per
      connection; entropy, a row a moment with each connection's share of an even choice's entropy
      (None where nothing is to be chosen); mean_entropy, their mean.
    """
    choices = [learned.choices() for learned in records]
    connections = list(records[0].architecture.connections())
    first = choices[0]
    return {
        "steps": [learned.source["step"] for learned in records],
        "strengths": [_strengths(learned) for learned in records],
        "candidates": [list(first[c].candidates) if c in first else [] for c in connections],
        "peers": [
            [_short(choice[c].distribution) if c in choice else [] for c in connections]
            for choice in choices
        ],
        "entropy": [
            [_rounded(choice[c].entropy_share) if c in choice else None for c in connections]
            for choice in choices
        ],
        "mean_entropy": [_rounded(mean_entropy_share(learned)) for learned in records],
    }


def settled_peers(records: Sequence[Learned]) -> dict[tuple[int, int], tuple[int, ...]]:
    """Returns every peer that was the likeliest of a connection at some moment.

    By consumer and position of the input; blocks that name their peers have just those.
    """
    seen: dict[tuple[int, int], dict[int, None]] = {}
    for learned in records:
        for index, likeliest in learned.likeliest_peers().items():
            for position, peer in enumerate(likeliest):
                seen.setdefault((index, position), {})[peer] = None
    for index, node in enumerate(records[0].architecture.nodes):
        if isinstance(node, Block) and node.peers is not None:
            for position, peer in enumerate(node.peers):
                seen[index, position] = {peer: None}
    return {connection: tuple(peers) for connection, peers in seen.items()}


def _strengths(learned: Learned) -> list[float | None]:
    """Returns the strength of each connection; None where there is nothing to learn."""
    values: list[float | None] = []
    for index, node in enumerate(learned.architecture.nodes):
        strengths = learned.strengths.get(index)
        values += [None] * len(node.inputs) if strengths is None else _short(strengths)
    return values


def _short(values: Sequence[float]) -> list[float]:
    return [round(value, _DIGITS) for value in values]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
