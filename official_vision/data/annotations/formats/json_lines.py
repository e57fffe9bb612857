"""JSON lines for any data set: one object per line, as `generic_csv` in JSON.

{"path": "a.mp4", "split": "train", "labels": ["run", {"name": "jump", "start": 1.5, "end": 4}]}

Further keys: id, group, start and end of the part of the file that is used. Without a split
preparation divides the videos, those of a group together.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from official_vision.data.annotations.manifest import (
    Manifest,
    NamedRow,
    checked_span,
    make_manifest,
)
from official_vision.data.annotations.text import classes_beside, numbered_lines
from official_vision.errors import UserError, nearest

_KNOWN = ("path", "labels", "split", "group", "id", "start", "end")
_OF_LABEL = ("name", "start", "end")


def read_json_lines(path: str | os.PathLike) -> Manifest:
    """Reads the file.

    Raises:
      UserError: names the file and the line.
    """
    rows = [_row(line, where) for where, line in numbered_lines(path)]
    return make_manifest(rows, classes_beside(path), str(path))


def _row(line: str, where: str) -> NamedRow:
    try:
        values = json.loads(line, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: the line must be JSON. Received: {error}.") from error
    if not isinstance(values, dict):
        raise UserError(
            f"{where}: the line must be a JSON object. Received: {line.strip()[:40]!r}."
        )
    _check_names(values, _KNOWN, where)
    path = _text(values, "path", where)
    split, group = (_text(values, k, where) if k in values else "" for k in ("split", "group"))
    labels = values.get("labels", [])
    if not isinstance(labels, list):
        raise UserError(f"{where}: labels must be a list. Received: {labels!r}.")
    start, end = checked_span(_time(values, "start", where), _time(values, "end", where), where)
    video_id = _text(values, "id", where) if "id" in values else path
    named = tuple(_label(label, where) for label in labels)
    return NamedRow(where, video_id, path, split, named, start, end, group)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuses a repeated name, of which JSON readers silently take the last."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} twice in an object")
    return values


def _check_names(values: dict[str, Any], known: Sequence[str], where: str) -> None:
    for name in values:
        if name not in known:
            raise UserError(
                f"{where}: no field is named so. Received: {name!r}. {nearest(name, known)}"
            )


def _text(values: dict[str, Any], name: str, where: str) -> str:
    value = values.get(name)
    if not isinstance(value, str) or not value:
        raise UserError(f"{where}: {name} must be a text. Received: {value!r}.")
    return value


def _time(values: dict[str, Any], name: str, where: str) -> float | None:
    value = values.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise UserError(f"{where}: {name} must be a number of seconds. Received: {value!r}.")
    # Python's JSON knows NaN and Infinity, and whole numbers of any length.
    if value is not None and not abs(value) < sys.float_info.max:
        raise UserError(
            f"{where}: {name} must be a finite number of seconds. Received: {value!r:.40}."
        )
    return None if value is None else float(value)


def _label(label: Any, where: str) -> tuple[str, float | None, float | None]:
    if isinstance(label, str) and label:
        return label, None, None
    if not isinstance(label, dict):
        raise UserError(
            f"{where}: a label is a text or an object with name, start, end. Received: {label!r}."
        )
    _check_names(label, _OF_LABEL, where)
    span = checked_span(_time(label, "start", where), _time(label, "end", where), where)
    return _text(label, "name", where), *span
