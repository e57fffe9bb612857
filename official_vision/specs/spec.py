"""The base of all specs: every field states its rule beside its default, and one check covers all."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from official_vision.errors import UserError, nearest
from official_vision.plain import make_fields_plain


def setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Makes a field with a default and its rule: low <= value <= high, value > above, or one of `choices`.

    A field of type int | str may have both: bounds for its numbers and choices for its texts. A choice written
    `kind:WHAT` allows every value that begins with `kind:` and has more text.
    """
    rule = {"low": low, "high": high, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=rule)


class Spec:
    """Base of all specs: checks types and ranges, turns gin's lists into tuples and NumPy's numbers into Python's."""

    def __post_init__(self) -> None:
        make_fields_plain(self)
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            value = tuple(value) if isinstance(value, list) else value
            value = _as_float(value, hints[field.name])
            object.__setattr__(self, field.name, value)
            where = f"{type(self).__name__}.{field.name}"
            _check_type(where, value, hints[field.name])
            for item in value if isinstance(value, tuple) else (value,):
                _check_rule(where, item, field.metadata)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain JSON values: a file reads back as the same values."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Spec:
        """Builds the spec from what `to_dict` returned; unknown names are refused."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise UserError(f"{cls.__name__} has no setting {name!r}. {nearest(name, known)}")
        return cls(**values)


def _as_float(value: Any, hint: Any) -> Any:
    """Converts an int to float, but no bool."""
    if isinstance(value, tuple) and any(
        typing.get_args(option) == (float, ...) for option in (hint, *typing.get_args(hint))
    ):
        return tuple(_as_float(item, float) for item in value)
    wants_float = hint is float or float in typing.get_args(hint)
    return float(value) if wants_float and type(value) is int else value


def _check_type(where: str, value: Any, hint: Any) -> None:
    if not _matches(value, hint):
        wanted = getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint)
        raise UserError(f"{where} must be {wanted}. Received: {value!r} ({type(value).__name__}).")


def _matches(value: Any, hint: Any) -> bool:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_matches(item, arguments[0]) for item in value)
    if arguments:
        return any(_matches(value, option) for option in arguments)
    return type(value) is hint


def _chosen(value: Any, choice: str) -> bool:
    kind, colon, _ = choice.partition(":")
    if not colon:
        return value == choice
    return value.startswith(f"{kind}:") and value != f"{kind}:"


def _check_rule(where: str, value: Any, rule: Mapping[str, Any]) -> None:
    if value is None or not rule:
        return
    is_number = isinstance(value, int | float)
    is_choice = any(_chosen(value, choice) for choice in rule["choices"] or () if not is_number)
    if rule["choices"] and not is_number and not is_choice:
        raise UserError(
            f"{where} must be one of {', '.join(rule['choices'])}. Received: {value!r}."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where} must be finite. Received: {value!r}.")
    for key, words, holds in (
        ("low", "at least", lambda bound: value >= bound),
        ("high", "at most", lambda bound: value <= bound),
        ("above", "greater than", lambda bound: value > bound),
    ):
        if rule[key] is not None and is_number and not holds(rule[key]):
            raise UserError(f"{where} must be {words} {rule[key]:g}. Received: {value!r}.")
