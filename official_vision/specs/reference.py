"""The reference of all settings, made of the specs themselves: names, defaults, allowed values, meanings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from official_vision.specs.spec import Spec

_KINDS = {str: "text", int: "whole number", float: "number", bool: "True or False"}
_PLURALS = {str: "texts", int: "whole numbers", float: "numbers"}
_ENTRY = re.compile(r"(\w+(?:, \w+)*): (.*)")
_WIDTH = 100


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting as the reference names it.

    Attributes:
      name: `Spec.field`, as gin files write it.
      default: as gin files write it.
      values: which are allowed, in words.
      meaning: from the spec's docstring.
    """

    name: str
    default: str
    values: str
    meaning: str


def settings_of(spec: type[Spec]) -> list[Setting]:
    """Returns the settings of one spec, in its order.

    Raises:
      KeyError: its docstring lacks a field.
    """
    meanings = _meanings(spec)
    hints = typing.get_type_hints(spec)
    return [
        Setting(
            f"{spec.__name__}.{field.name}",
            repr(field.default),
            _values(hints[field.name], field.metadata),
            meanings[field.name],
        )
        for field in dataclasses.fields(spec)
    ]


def introduction_of(spec: type[Spec]) -> str:
    """Returns the introduction of a spec's docstring, as one paragraph."""
    return " ".join(inspect.getdoc(spec).partition("Attributes:")[0].split())


def to_text(specs: Sequence[type[Spec]], words: Sequence[str] = ()) -> str:
    """Returns the reference for a terminal: of all settings, or of those whose names contain one of the words."""
    lines = []
    for spec in specs:
        chosen = [s for s in settings_of(spec) if not words or any(w in s.name for w in words)]
        if chosen:
            lines += [*textwrap.wrap(f"{spec.__name__}: {introduction_of(spec)}", _WIDTH), ""]
        for setting in chosen:
            lines.append(f"  {setting.name} = {setting.default}  ({setting.values})")
            lines += textwrap.wrap(setting.meaning, _WIDTH - 6, initial_indent=" " * 6,
                                   subsequent_indent=" " * 6)  # fmt: skip
        lines += [""] if chosen else []
    return "\n".join(lines).rstrip()


def to_markdown(specs: Sequence[type[Spec]]) -> str:
    """Returns the reference as a page: a section and a table for each spec."""
    parts = [
        "# Settings\n\n"
        "Made from `official_vision/specs` by `make settings`; `official-vision config show` prints the same. "
        "A gin file, or `--gin_bindings`, writes `Spec.name = value`: texts in quotes, lists in brackets.\n"
    ]
    for spec in specs:
        parts.append(f"\n## {spec.__name__}\n\n{introduction_of(spec)}\n\n")
        parts.append("| setting | default | values | meaning |\n|---|---|---|---|\n")
        for setting in settings_of(spec):
            cells = (f"`{setting.name}`", f"`{setting.default}`", setting.values, setting.meaning)
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    return "".join(parts)


def _meanings(spec: type[Spec]) -> dict[str, str]:
    """Returns each field's text in the docstring's section Attributes."""
    texts: dict[str, list[str]] = {}
    names: list[str] = []
    for line in _attribute_lines(spec):
        entry = _ENTRY.match(line)
        if entry:
            names = entry[1].split(", ")
        for name in names:
            texts.setdefault(name, []).append(entry[2] if entry else line.strip())
    return {name: " ".join(lines) for name, lines in texts.items()}


def _attribute_lines(spec: type[Spec]) -> Iterator[str]:
    """Returns the lines below "Attributes:", an entry's first one without indentation."""
    yield from textwrap.dedent(inspect.getdoc(spec).partition("Attributes:\n")[2]).splitlines()


def _values(hint: Any, rule: Mapping[str, Any]) -> str:
    """Returns the allowed values in words."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kind = next(option for option in options if option is not type(None))
    words = (
        f"list of {_PLURALS[typing.get_args(kind)[0]]}" if typing.get_args(kind) else _KINDS[kind]
    )
    if rule.get("choices"):
        words = ", ".join(f"'{choice}'" for choice in rule["choices"])
        words += f", or {_KINDS[int]}" if int in options else ""
    bounds = [
        f"{text} {rule[key]:g}"
        for key, text in (("low", "at least"), ("above", "more than"), ("high", "at most"))
        if rule.get(key) is not None
    ]
    words += f", {' and '.join(bounds)}" if bounds else ""
    return f"{words}; or None" if type(None) in options else words
