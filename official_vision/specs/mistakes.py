"""Messages about settings whose values can't be read: most often quotes are missing."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from official_vision.names import shown
from official_vision.specs.spec import Spec

_LINE = re.compile(r"^\s*(?:\S+/)?(?P<spec>\w+)\.(?P<name>\w+)\s*=\s*(?P<value>.*?)\s*$")
_WORDS = {
    "True": ("true", "yes", "on"),
    "False": ("false", "no", "off"),
    "None": ("none", "null", "nil"),
}
_RULE = "A setting's value is a number, True, False, None, a text in quotes, or a list of these in brackets."
_NUMBER = re.compile(r"(-?)0*(\d[\d,_]*(?:\.\d+)?) ?[a-zA-Z]*")


def of_value(line: str, place: str, specs: Mapping[str, type[Spec]]) -> str:
    """Returns one line about a setting whose value could not be read.

    Args:
      line: `Spec.name = value` as it was written.
      place: file and line.
      specs: by name.

    Returns:
      The rule, what was received, and how the line should read as far as that is known; an empty text
      for a line that sets nothing, or a setting that there is not.
    """
    line = line.strip()
    match = _LINE.match(line)
    if not match or match["spec"] not in specs or not match["value"]:
        return ""
    hint = typing.get_type_hints(specs[match["spec"]]).get(match["name"])
    if hint is None:
        return ""
    advice = _advice(line.partition("=")[0].strip(), _unquoted(match["value"]), hint)
    if shown(line) != line:
        advice = "Settings are UTF-8: rename the file, or name it from inside its folder."
    return f"{_RULE} Received: {shown(line)} ({place}). {advice}".strip()


def _advice(setting: str, value: str, hint: typing.Any) -> str:
    kinds = (hint, *typing.get_args(hint))
    for word, kind in (("True", bool), ("False", bool), ("None", type(None))):
        if value.lower() in _WORDS[word] and kind in kinds:
            return f"Write {setting} = {word}."
    if any(typing.get_args(kind) == (str, ...) for kind in kinds):
        return f"Quote each text: {setting} = {_texts(value)!r}."
    if str in kinds:
        return f"Quote it: {setting} = {value!r}."
    if bool in kinds:
        return f"Write {setting} = True or {setting} = False."
    number = _NUMBER.fullmatch(value)
    return f"Write {setting} = {number[1]}{number[2].replace(',', '')}." if number else ""


def _unquoted(value: str) -> str:
    """Returns the value without a comment, a quote on one side, or quotes of a text processor."""
    return value.partition(" #")[0].strip("'\"“”„‘’‚«» ")


def _texts(value: str) -> list[str]:
    return [_unquoted(part) for part in value.strip("[]() ").split(",") if part.strip()]
