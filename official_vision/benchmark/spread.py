"""The spread of a figure that was measured several times."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def spread(values: Sequence[float]) -> dict[str, float]:
    """Returns the median, the least and the greatest."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}
