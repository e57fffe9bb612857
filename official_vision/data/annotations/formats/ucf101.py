"""UCF101 (Soomro et al. 2012): classInd.txt, trainlist0N.txt and testlist0N.txt."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from official_vision.data.annotations.manifest import Manifest, NamedRow, make_manifest
from official_vision.data.annotations.text import (
    check_class_count,
    numbered_lines,
    official_files,
)
from official_vision.errors import UserError

SPLITS = ("1", "2", "3")
CLASSES = "classInd.txt"
NUM_CLASSES = 101
_GROUP = re.compile(r"_g(\d+)_c\d+\.")


def read_ucf101(path: str | os.PathLike, protocol: str) -> Manifest:
    """Reads the folder ucfTrainTestlist; a video's path is <class>/<file>, as in the lists.

    Args:
      path: the folder.
      protocol: 1, 2 or 3, which of the published divisions.

    Raises:
      UserError: a file is missing, or a line breaks the format; with file and line.
    """
    folder = Path(path)
    classes = _read_classes(folder / CLASSES)
    names = {f"trainlist0{protocol}.txt": "train", f"testlist0{protocol}.txt": "test"}
    rows = [
        _row(line, where, split, classes)
        for file, split in official_files(folder, names)
        for where, line in numbered_lines(file)
    ]
    return make_manifest(rows, classes, str(path))


def _read_classes(file: Path) -> tuple[str, ...]:
    names = []
    for where, line in numbered_lines(file):
        number, _, name = line.partition(" ")
        if number != str(len(names) + 1) or not name.strip():
            raise UserError(
                f"{where}: classes are numbered from 1, e.g. '1 ApplyEyeMakeup'. Received: {line!r}."
            )
        names.append(name.strip())
    check_class_count(names, (NUM_CLASSES,), file)
    return tuple(names)


def _row(line: str, where: str, split: str, classes: tuple[str, ...]) -> NamedRow:
    """Reads a line `Class/v_Class_g08_c01.avi 1`; test lists leave the number out."""
    video, _, number = line.partition(" ")
    name = PurePosixPath(video).parent.name
    numbered = number.strip() in ("", str(classes.index(name) + 1 if name in classes else None))
    if name not in classes or not numbered:
        raise UserError(
            f"{where}: a line is <class of {CLASSES}>/<video>, in training lists with the class's number. "
            f"Received: {line!r}."
        )
    # Clips of a group are cut from one video.
    group = _GROUP.search(video)
    source = f"{name} group {group[1]}" if group else ""
    return NamedRow(where, video, video, split, ((name, None, None),), group=source)
