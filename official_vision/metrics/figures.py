"""Figures of an evaluation as plain numbers, for records: JSON has no NaN, which mAP is without labels."""

from __future__ import annotations

import math
from collections.abc import Mapping


def scalars(output: Mapping) -> dict[str, float]:
    """Returns the figures of an evaluation without its tables, as Python's floats."""
    return {name: float(value) for name, value in output.items() if not isinstance(value, Mapping)}


def without_nan(value: object) -> object:
    """Replaces floats that are not finite by None, at any depth of mappings."""
    if isinstance(value, Mapping):
        return {name: without_nan(item) for name, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def with_nan(figures: Mapping[str, float | None]) -> dict[str, float]:
    """Returns the inverse of `without_nan` for a record of figures."""
    return {name: math.nan if value is None else float(value) for name, value in figures.items()}
