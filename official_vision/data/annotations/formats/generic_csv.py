"""A csv file for any data set: header `path,labels`, optionally `split,group,id,start,end`.

`labels` are separated by semicolons; `name@1.5-4` applies from 1.5 to 4 seconds. The classes are the
names that occur, sorted, or those of a classes.txt beside the file. Without a column `split`
preparation divides the videos, those of a group together.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from official_vision.data.annotations.manifest import (
    Manifest,
    NamedRow,
    checked_span,
    make_manifest,
)
from official_vision.data.annotations.text import classes_beside, read_text, seconds
from official_vision.errors import UserError, nearest
from official_vision.names import shown

_REQUIRED = ("path", "labels")
_KNOWN = (*_REQUIRED, "split", "group", "id", "start", "end")


def read_csv(path: str | os.PathLike, videos: str | os.PathLike = "") -> Manifest:
    """Reads the csv file.

    Args:
      path: of the file.
      videos: the folder of videos. A path may hold bytes that are not UTF-8 where such a file is there.

    Raises:
      UserError: names the file and the line.
    """
    text = read_text(path, foreign_bytes=True)
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        reader.fieldnames = _checked_header(reader.fieldnames or [], path)
        rows = [_row(values, f"{path}:{reader.line_num}", videos) for values in reader]
    except csv.Error as error:
        raise UserError(
            f"{path}:{reader.reader.line_num}: the line is not csv. Received: {error}."
        ) from error
    return make_manifest(rows, classes_beside(path), str(path))


def _checked_header(header: Sequence[str], path: str | os.PathLike) -> list[str]:
    names = [name.strip() for name in header]
    for name in _REQUIRED:
        if name not in names:
            raise UserError(
                f"{path}:1: the header must name {', '.join(_REQUIRED)}, separated by commas. "
                f"Received: {shown(','.join(names))!r}. Add {name!r}."
            )
    for name in names:
        if name not in _KNOWN:
            raise UserError(
                f"{path}:1: no column is named so. Received: {shown(name)!r}. {nearest(name, _KNOWN)}"
            )
        if names.count(name) > 1:
            raise UserError(
                f"{path}:1: a column is named once. Received: {name!r} twice. Remove one."
            )
    return names


def _row(values: dict[str, str | None], where: str, videos: str | os.PathLike) -> NamedRow:
    if None in values or None in values.values():
        raise UserError(
            f"{where}: a line has a value for every column. Received: too many or too few."
        )
    path, split = values["path"].strip(), values.get("split", "").strip()
    _check_path(path, where, videos)
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
    video_id = values.get("id", "").strip() or path + span
    group = values.get("group", "").strip()
    return NamedRow(where, video_id, path, split, labels, start, end, group)


def _check_path(path: str, where: str, videos: str | os.PathLike) -> None:
    if not path:
        raise UserError(f"{where}: a path must be named. Received: none. Name the video's file.")
    if path != path.encode("utf-8", "replace").decode() and not os.path.isfile(Path(videos) / path):
        raise UserError(
            f"{where}: text is UTF-8, except for the name of a file that is there. Received: {shown(path)!r}. "
            "Save the file as UTF-8."
        )


def _label(text: str, where: str) -> tuple[str, float | None, float | None]:
    name, at, span = text.partition("@")
    if not name.strip():
        raise UserError(f"{where}: a label needs a name. Received: {text!r}. Name it.")
    if not at:
        return name.strip(), None, None
    start, dash, end = span.partition("-")
    if not dash:
        raise UserError(
            f"{where}: a timed label is name@start-end. Received: {text!r}. Add the end."
        )
    return name.strip(), *checked_span(seconds(start, where), seconds(end, where), where)
