"""Compares two splits: their classes, and how they were prepared."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from official_vision.data.storage.index import INDEX_FILE, Index
from official_vision.errors import UserError

# Settings of preparation that decide what clips look like.
_PREPARATION = ("fps", "short_side", "flow", "flow_bound", "objects")


def class_difference(classes: Sequence[str], others: Sequence[str]) -> str:
    """Describes where two lists of classes differ, e.g. "whose class 1 is 'run' and 'Run'"; empty where equal."""
    for number, (one, other) in enumerate(zip(classes, others, strict=False)):
        if one != other:
            return f"whose class {number} is {one!r} and {other!r}"
    if len(classes) != len(others):
        longer = max(classes, others, key=len)
        shorter = min(len(classes), len(others))
        return f"of {len(classes)} and {len(others)} classes, {longer[shorter]!r} being the first in one alone"
    return ""


def preparation_differences(one: Index, other: Index) -> Iterator[str]:
    """Yields "fps is A in train and B in validation" for each setting that changes the look of clips."""
    pairs = [
        (name, one.settings.get(name), other.settings.get(name))
        for name in _PREPARATION
        if name in one.settings and name in other.settings
    ]
    pairs.append(("the list of object ids", list(one.object_classes), list(other.object_classes)))
    for name, here, there in pairs:
        if here != there:
            yield f"{name} is {here!r} in {one.split} and {there!r} in {other.split}"


def unlike_siblings(output: str | os.PathLike, index: Index) -> Iterator[str]:
    """Yields the differences of a split from those beside it, prepared at another time.

    Args:
      output: folder of the splits.
      index: of one that was just prepared.
    """
    for path in sorted(Path(output).glob(f"*/{INDEX_FILE}")):
        if path.parent.name == index.split:
            continue
        try:
            other = Index.read(path.parent, damaged_is_fatal=False)
        except UserError as error:  # of an earlier version: it concerns the split beside alone
            yield str(error)
            continue
        if difference := class_difference(index.classes, other.classes):
            yield f"{index.split} and {other.split}, {difference}: no run can use both"
        yield from preparation_differences(index, other)
