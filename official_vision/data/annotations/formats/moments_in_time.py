"""Moments in Time (Monfort et al. 2019): moments_categories.txt, trainingSet.csv, validationSet.csv.

A row's first column is <class>/<file>; what follows (the class again, votes) adds nothing to it.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from official_vision.data.annotations.manifest import Manifest, NamedRow, make_manifest
from official_vision.data.annotations.text import (
    check_class_count,
    csv_records,
    located,
    numbered_lines,
    official_files,
)
from official_vision.errors import UserError

CLASSES = "moments_categories.txt"
# Of the first version and of the second, of 2020.
NUM_CLASSES = (339, 305)
FILES = {"trainingSet.csv": "train", "validationSet.csv": "validation"}
_FOLDERS = {"train": "training", "validation": "validation"}


def read_moments_in_time(path: str | os.PathLike, videos: str | os.PathLike = "") -> Manifest:
    """Reads the folder of the official files.

    Args:
      path: the folder.
      videos: folder in which <class>/<file> lies, or training/ and validation/ that hold it.

    Raises:
      UserError: a file is missing, or a line breaks the format; with file and line.
    """
    folder = Path(path)
    classes = _read_classes(folder / CLASSES)
    rows = []
    for file, split in official_files(folder, FILES):
        for where, fields in csv_records(file):
            video = fields[0].strip()
            name = PurePosixPath(video).parent.name
            if name not in classes:
                raise UserError(
                    f"{where}: a line begins with <class of {CLASSES}>/<video>. Received: {video!r}."
                )
            path = located(videos, (video, f"{_FOLDERS[split]}/{video}"))
            rows.append(NamedRow(where, f"{split}/{video}", path, split, ((name, None, None),)))
    return make_manifest(rows, classes, str(path))


def _read_classes(file: Path) -> tuple[str, ...]:
    """Reads lines `name,index` in any order; indices are 0, 1, 2 ..."""
    names: dict[int, str] = {}
    for where, line in numbered_lines(file):
        name, _, index = line.rpartition(",")
        if not name or not index.strip().isdecimal() or int(index) in names:
            raise UserError(f"{where}: a line is name,index. Received: {line!r}.")
        names[int(index)] = name.strip()
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{file}: indices count from 0 without gaps. Received: {sorted(names)}.")
    check_class_count(names, NUM_CLASSES, file)
    return tuple(names[index] for index in range(len(names)))
