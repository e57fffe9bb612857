"""Charades (Sigurdsson et al., ECCV 2016): Charades_v1_{train,test}.csv and Charades_v1_classes.txt.

A row is a video. Its column `actions` reads `c092 11.90 21.20;c147 0.00 12.60`: class, start and end
in seconds. It may be empty, name a class several times, and end past the column `length`.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from official_vision.data.annotations.text import numbered_lines, official_files, read_text, seconds
from official_vision.data.manifest import Manifest, NamedRow, make_manifest
from official_vision.errors import UserError

CLASSES = "Charades_v1_classes.txt"
FILES = {"Charades_v1_train.csv": "train", "Charades_v1_test.csv": "test"}
_NEEDED = ("id", "actions", "length")


def read_charades(path: str | os.PathLike) -> Manifest:
    """Reads the folder of the official files; a video's path is its id with .mp4.

    An action that ends past its video's length ends with the video, one that lies past it altogether
    is dropped; the manifest notes both.

    Raises:
      UserError: a file is missing, or a line breaks the format; with file and line.
    """
    folder = Path(path)
    names = _read_classes(folder / CLASSES)
    rows, notes = [], []
    for file, split in official_files(folder, FILES):
        for where, values in _csv_rows(file):
            rows.append(_row(values, where, split, names, notes))
    return make_manifest(rows, tuple(names.values()), str(path), tuple(notes))


def _read_classes(file: Path) -> dict[str, str]:
    """Code -> text, e.g. c000 -> Holding some clothes."""
    names: dict[str, str] = {}
    for where, line in numbered_lines(file):
        code, _, text = line.partition(" ")
        if not text.strip() or code in names:
            raise UserError(
                f"{where}: a line is a code of its own and a text, e.g. 'c000 Holding some clothes'. "
                f"Received: {line!r}."
            )
        names[code] = text.strip()
    return names


def _csv_rows(file: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    reader = csv.DictReader(io.StringIO(read_text(file), newline=""), strict=True)
    missing = [name for name in _NEEDED if name not in (reader.fieldnames or [])]
    if missing:
        raise UserError(
            f"{file}:1: the header must name {', '.join(_NEEDED)}. "
            f"Received: {','.join(reader.fieldnames or [])!r}."
        )
    try:
        for values in reader:
            where = f"{file}:{reader.line_num}"
            if None in values or None in values.values():
                raise UserError(
                    f"{where}: a line has a value for every column. Received: too many or too few."
                )
            yield where, values
    except csv.Error as error:
        raise UserError(
            f"{file}:{reader.reader.line_num}: the line is not csv. Received: {error}."
        ) from error


def _row(
    values: Mapping[str, str], where: str, split: str, names: Mapping[str, str], notes: list[str]
) -> NamedRow:
    video, length = values["id"].strip(), seconds(values["length"], where)
    if not video or length is None or length <= 0:
        raise UserError(
            f"{where}: a video has an id and a positive length. "
            f"Received: {video!r} and {values['length']!r}."
        )
    labels = []
    for text in filter(None, (part.strip() for part in values["actions"].split(";"))):
        code, start, end = _action(text, where, names)
        if end > length:
            notes.append(
                f"{where}: {code} from {start:g} to {end:g} s passes the video's {length:g} s"
            )
            end = length
        if start < end:
            labels.append((names[code], start, end))
    return NamedRow(where, video, f"{video}.mp4", split, tuple(labels))


def _action(text: str, where: str, names: Mapping[str, str]) -> tuple[str, float, float]:
    parts = text.split()
    if len(parts) != 3 or parts[0] not in names:
        raise UserError(
            f"{where}: an action is a class of {CLASSES}, a start and an end, e.g. 'c092 11.90 21.20'. "
            f"Received: {text!r}."
        )
    start, end = seconds(parts[1], where), seconds(parts[2], where)
    if not 0 <= start <= end:
        raise UserError(f"{where}: an action needs 0 <= start <= end. Received: {text!r}.")
    return parts[0], start, end
