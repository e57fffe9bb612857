"""Bands of classes by the training videos that have them: is a network good at rare classes too?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

NAMES = ("head", "middle", "tail")
# Times as many videos of the commonest class as of the rarest, from which bands say more than chance.
_IMBALANCE = 10


@dataclasses.dataclass(frozen=True)
class ClassBand:
    """A third of the classes.

    Attributes:
      name: head for the commonest, middle, or tail for the rarest.
      classes: indices.
      fewest: training videos of its rarest class.
      most: training videos of its commonest class.
    """

    name: str
    classes: tuple[int, ...]
    fewest: int
    most: int


def class_bands(class_counts: Sequence[int]) -> tuple[ClassBand, ...]:
    """Returns thirds of the classes, the commonest first; none where all are about as frequent, or unknown.

    Of equally frequent classes the earlier counts as the commoner; where the classes can't be shared out
    equally, the commoner bands have one more.

    Args:
      class_counts: training videos of each class; empty where they are unknown.
    """
    counts = np.asarray(class_counts, np.int64)
    if len(counts) < len(NAMES) or counts.max() < _IMBALANCE * max(counts.min(), 1):
        return ()
    thirds = np.array_split(np.argsort(-counts, kind="stable"), len(NAMES))
    return tuple(
        ClassBand(name, tuple(third.tolist()), int(counts[third].min()), int(counts[third].max()))
        for name, third in zip(NAMES, thirds, strict=True)
    )
