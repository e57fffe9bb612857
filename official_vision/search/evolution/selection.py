"""Selects the best graphs of a population: by the figure, and by the figure at a cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def sign_of(metric: str) -> float:
    """Returns 1 if more is better, -1 for a loss."""
    return -1.0 if "loss" in metric else 1.0


def best_of(children: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Returns the child with the best figure, the earliest of equals; of a loss, the lowest."""
    return max(
        children, key=lambda child: (sign_of(child["metric"]) * child["figure"], -child["id"])
    )


def front_of(children: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the children for which no other is as cheap and better, or as good and cheaper.

    In the order of their FLOPs; of equals, the earliest.
    """
    front: list[Mapping[str, Any]] = []
    order = sorted(
        children,
        key=lambda child: (
            child["flops"],
            -sign_of(child["metric"]) * child["figure"],
            child["id"],
        ),
    )
    for child in order:
        sign = sign_of(child["metric"])
        if not front or sign * child["figure"] > sign * front[-1]["figure"]:
            front.append(child)
    return front
