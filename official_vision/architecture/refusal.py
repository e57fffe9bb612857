"""The error of a graph that is not a network."""

from __future__ import annotations

from typing import Any, NoReturn

from official_vision.errors import UserError

# Far beyond any network; keeps arithmetic on channels and strides finite.
LARGEST_COUNT = 65536


class ArchitectureError(UserError):
    """A graph that is not a network; the line names the node and the rule that it breaks."""


def fail(rule: str, received: Any, remedy: str, index: int | None = None) -> NoReturn:
    """Refuses a graph.

    Args:
      rule: that is broken, a sentence.
      received: the value, of any type.
      remedy: what to do, a sentence.
      index: of the node, None where it is none's.

    Raises:
      ArchitectureError: in any case.
    """
    where = "" if index is None else f"Node {index}: "
    raise ArchitectureError(f"{where}{rule} Received: {_shown(received)}. {remedy}")


def is_count(value: Any) -> bool:
    """Returns whether a value is a whole number from 1 to LARGEST_COUNT."""
    return type(value) is int and 1 <= value <= LARGEST_COUNT


def _shown(value: Any) -> str:
    """Returns any value's text on one line, shortened."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an int of thousands of digits, a nested list of lists
        text = f"a {type(value).__name__} too large to show"
    return text if len(text) <= 200 else f"{text[:200]}..."
