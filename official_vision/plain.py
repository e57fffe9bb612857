"""Conversion of NumPy's numbers to Python's, which type checks and JSON know."""

from __future__ import annotations

import dataclasses
from typing import Any


def plain(value: Any) -> Any:
    """Returns NumPy scalars as Python numbers and arrays as tuples, inside tuples and lists too; others unchanged."""
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        value = value.tolist()
        return _tuples(value) if isinstance(value, list) else value
    if type(value) in (tuple, list):
        return type(value)(plain(item) for item in value)
    return value


def make_fields_plain(instance: Any) -> None:
    """Replaces a frozen dataclass's values by `plain` ones; called by its `__post_init__`."""
    for field in dataclasses.fields(instance):
        object.__setattr__(instance, field.name, plain(getattr(instance, field.name)))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
