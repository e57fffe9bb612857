"""A csv file for any data set: header `path,labels,split`, optionally `id,start,end`.

`labels` are separated by semicolons; `name@1.5-4` holds from 1.5 to 4 seconds. The classes are the
names that occur, sorted, or those of a classes.txt beside the file.
"""

from __future__ import annotations

import csv
import io
import os

from official_vision.data.annotations.text import classes_beside, read_text, seconds
from official_vision.data.manifest import Manifest, NamedRow, checked_span, make_manifest
from official_vision.errors import UserError, nearest

_REQUIRED = ("path", "labels", "split")
_KNOWN = (*_REQUIRED, "id", "start", "end")


def read_csv(path: str | os.PathLike) -> Manifest:
    """Reads the csv file.

    Raises:
      UserError: names the file and the line.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        _check_header(reader.fieldnames or [], path)
        rows = [_row(values, f"{path}:{reader.line_num}") for values in reader]
    except csv.Error as error:
        raise UserError(
            f"{path}:{reader.reader.line_num}: the line is not csv. Received: {error}."
        ) from error
    return make_manifest(rows, classes_beside(path), str(path))


def _check_header(names: list[str], path: str | os.PathLike) -> None:
    for name in _REQUIRED:
        if name not in names:
            raise UserError(
                f"{path}:1: the header must name {', '.join(_REQUIRED)}. "
                f"Received: {','.join(names)!r}. Add {name!r}."
            )
    for name in names:
        if name not in _KNOWN:
            raise UserError(
                f"{path}:1: no column is named so. Received: {name!r}. {nearest(name, _KNOWN)}"
            )


def _row(values: dict[str, str | None], where: str) -> NamedRow:
    if None in values or None in values.values():
        raise UserError(
            f"{where}: a line has a value for every column. Received: too many or too few."
        )
    path, split = values["path"].strip(), values["split"].strip()
    if not path or not split:
        raise UserError(f"{where}: path and split must be given. Received: {path!r}, {split!r}.")
    labels = tuple(
        _label(text.strip(), where) for text in values["labels"].split(";") if text.strip()
    )
    start, end = checked_span(
        seconds(values.get("start", ""), where), seconds(values.get("end", ""), where), where
    )
    span = (
        ""
        if start is None and end is None
        else f"@{start or 0:g}-{'' if end is None else f'{end:g}'}"
    )
    return NamedRow(
        where, values.get("id", "").strip() or path + span, path, split, labels, start, end
    )


def _label(text: str, where: str) -> tuple[str, float | None, float | None]:
    name, at, span = text.partition("@")
    if not name.strip():
        raise UserError(f"{where}: a label needs a name. Received: {text!r}. Name it.")
    if not at:
        return name, None, None
    start, dash, end = span.partition("-")
    if not dash:
        raise UserError(
            f"{where}: a timed label is name@start-end. Received: {text!r}. Add the end."
        )
    return name.strip(), *checked_span(seconds(start, where), seconds(end, where), where)
