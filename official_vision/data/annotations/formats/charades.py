"""Charades (Sigurdsson et al., ECCV 2016): Charades_v1_{train,test}.csv and Charades_v1_classes.txt.

A row is a video. Its column `actions` reads `c092 11.90 21.20;c147 0.00 12.60`: class, start and end
in seconds. It may be empty, name a class several times, and end past the column `length`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from official_vision.data.annotations.manifest import Manifest, NamedRow, make_manifest
from official_vision.data.annotations.text import (
    check_class_count,
    csv_rows,
    numbered_lines,
    official_files,
    seconds,
)
from official_vision.errors import UserError, nearest

CLASSES = "Charades_v1_classes.txt"
FILES = {"Charades_v1_train.csv": "train", "Charades_v1_test.csv": "test"}
NUM_CLASSES = 157
_NEEDED = ("id", "actions", "length")
# An action's least duration: one of the 24 frames per second in which the data set is published.
_LEAST_SEC = 1 / 24


def read_charades(path: str | os.PathLike) -> Manifest:
    """Reads the folder of the official files; a video's path is its id with .mp4.

    Videos without actions stay: they are negatives of every class. An action keeps its class
    whatever its times, because scores are judged by the classes of whole videos: times of labels are
    moved into the video's length, at least a frame apart; the manifest notes each. Localisation is
    judged by the times as they are, VideoRow.actions.

    Raises:
      UserError: a file is missing, or a line breaks the format; with file and line.
    """
    folder = Path(path)
    names = _read_classes(folder / CLASSES)
    rows, notes = [], []
    for file, split in official_files(folder, FILES):
        for where, values in csv_rows(file, _NEEDED):
            rows.append(_row(values, where, split, names, notes))
    return make_manifest(rows, tuple(names.values()), str(path), tuple(notes))


def _read_classes(file: Path) -> dict[str, str]:
    """Returns each code's line, e.g. c000 -> c000 Holding some clothes; the codes count from 0."""
    names: dict[str, str] = {}
    for where, line in numbered_lines(file):
        code = f"c{len(names):03d}"
        if not re.fullmatch(rf"{code} +\S.*", line):
            raise UserError(
                f"{where}: a line is a code, counted from c000, and a text, e.g. '{code} Holding some clothes'. "
                f"Received: {line!r}."
            )
        names[code] = line
    check_class_count(names, (NUM_CLASSES,), file)
    return names


def _row(
    values: Mapping[str, str], where: str, split: str, names: Mapping[str, str], notes: list[str]
) -> NamedRow:
    video, length = values["id"].strip(), seconds(values["length"], where)
    if not video or length is None or length <= 0:
        raise UserError(
            f"{where}: a video has an id and a positive length. "
            f"Received: {video!r} and {values['length']!r}."
        )
    labels, actions = [], []
    for text in filter(None, (part.strip() for part in values["actions"].split(";"))):
        code, start, end = _action(text, where, names)
        span = _within(start, end, length)
        if span != (start, end):
            notes.append(
                f"{where}: {text!r} of a video of {length:g} s became {span[0]:.2f} to {span[1]:.2f} s"
            )
        labels.append((names[code], *span))
        actions.append((names[code], start, end))
    return NamedRow(
        where,
        video,
        f"{video}.mp4",
        split,
        # A class may come again with other times; the same times again say nothing more.
        tuple(dict.fromkeys(labels)),
        length_sec=length,
        actions=tuple(actions),
    )


def _action(text: str, where: str, names: Mapping[str, str]) -> tuple[str, float, float]:
    parts = text.split()
    if len(parts) != 3:
        raise UserError(
            f"{where}: an action is a class, a start and an end, e.g. 'c092 11.90 21.20'. "
            f"Received: {text!r}."
        )
    if parts[0] not in names:
        raise UserError(
            f"{where}: an action is of a class of {CLASSES}. Received: {parts[0]!r}. "
            f"{nearest(parts[0], names)}"
        )
    return parts[0], seconds(parts[1], where), seconds(parts[2], where)


def _within(start: float, end: float, length: float) -> tuple[float, float]:
    """Moves a span into 0 to `length` and extends it to at least the duration of a frame."""
    least = min(_LEAST_SEC, length)
    start = min(max(start, 0.0), length - least)
    return start, min(max(end, start + least), length)
