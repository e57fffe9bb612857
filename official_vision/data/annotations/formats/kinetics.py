"""Kinetics-400, -600 and -700: the official csv files, or lists of `path label`.

An official row names a YouTube video and ten seconds of it. Everyone stores the cut clip, named
<youtube id>_<start>_<end>.mp4 with six digits for each time, below folders of their choice.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from official_vision.data.annotations.manifest import Manifest, NamedRow, make_manifest
from official_vision.data.annotations.text import (
    check_class_count,
    classes_beside,
    csv_rows,
    located,
    numbered_lines,
    read_text,
)
from official_vision.errors import UserError

NUM_CLASSES = (400, 600, 700)
_SPLITS = {"train": "train", "val": "validation", "validate": "validation", "test": "test"}
_OFFICIAL = ("youtube_id", "time_start", "time_end")
_SUFFIXES = (".csv", ".txt", ".list")


@dataclasses.dataclass(frozen=True)
class _File:
    path: Path
    split: str
    videos: str | os.PathLike


def read_kinetics(path: str | os.PathLike, videos: str | os.PathLike = "") -> Manifest:
    """Reads a file, or the files train, val (or validate) and test of a folder.

    Each file is official (header label, youtube_id, time_start, time_end, split) or a list, a line
    `path label` with the class's number. Names of a list's classes are those of classes.txt beside
    it, else the numbers; those of official files are the labels in order, of which there must be 400,
    600 or 700 unless classes.txt names them. A row without label, or with -1, is an unlabelled video.

    Args:
      path: the file or folder.
      videos: where clips lie: <videos>/[split/][label/]<clip>.mp4, the label as it is or with _ for
        blanks.

    Raises:
      UserError: no file, or a line breaks the format; with file and line.
    """
    files = _files(Path(path), videos)
    official = [_is_official(file.path) for file in files]
    if all(official):
        rows = [row for file in files for row in _official_rows(file)]
        manifest = make_manifest(rows, classes_beside(files[0].path), str(path))
        if not classes_beside(files[0].path):
            check_class_count(manifest.classes, NUM_CLASSES, path)
        return manifest
    if any(official):
        raise UserError(
            f"The files must be of one kind. Received: {path}, which has official files and lists."
        )
    numbered = [row for file in files for row in _list_rows(file)]
    classes = classes_beside(files[0].path) or _numbers(numbered)
    return make_manifest([_named(row, classes) for row in numbered], classes, str(path))


def _files(path: Path, videos: str | os.PathLike) -> list[_File]:
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    files = []
    for file in candidates:
        words = file.stem.lower().replace("-", "_").split("_")
        split = next((_SPLITS[word] for word in words if word in _SPLITS), None)
        hidden = file.name.startswith(".")  # the second file that macOS makes, a spreadsheet's lock
        if split and file.suffix.lower() in _SUFFIXES and not hidden:
            files.append(_File(file, split, videos))
    if not files:
        raise UserError(
            "Kinetics' files are named train, val (or validate) and test, .csv, .txt or .list. "
            f"Received: {path}, which has none."
        )
    return files


def _is_official(file: Path) -> bool:
    first = read_text(file).partition("\n")[0]
    return all(name in first.split(",") or name in first for name in _OFFICIAL)


def _official_rows(file: _File) -> Iterator[NamedRow]:
    for where, values in csv_rows(file.path, _OFFICIAL):
        video, start, end = (values[name].strip() for name in _OFFICIAL)
        times = [_whole_seconds(text, where) for text in (start, end)]
        if not video or times[0] >= times[1]:
            raise UserError(
                f"{where}: a row names a youtube_id and time_start < time_end. "
                f"Received: {video!r}, {start!r}, {end!r}."
            )
        split_word = values.get("split", "").strip()
        split = _SPLITS.get(split_word, file.split)
        # Some releases quote labels inside the csv's quotes.
        label = values.get("label", "").strip().strip('"')
        name = f"{video}_{times[0]:06d}_{times[1]:06d}"
        labels = ((label, None, None),) if label else ()
        path = _located(file.videos, f"{name}.mp4", split_word, split, label)
        yield NamedRow(where, name, path, split, labels, group=video)


def _located(videos: str | os.PathLike, clip: str, split_word: str, split: str, label: str) -> str:
    splits = dict.fromkeys(["", *(f"{word}/" for word in (split_word, split, "val") if word)])
    labels = dict.fromkeys(["", f"{label}/", f"{label.replace(' ', '_')}/"])
    return located(videos, [f"{a}{b}{clip}" for a in splits for b in labels])


def _whole_seconds(text: str, where: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise UserError(f"{where}: a time is in seconds. Received: {text!r}.") from None


def _list_rows(file: _File) -> Iterator[tuple[str, str, str, int]]:
    """Yields (where, path, split, class number)."""
    for where, line in numbered_lines(file.path):
        path, _, number = line.rpartition("," if "," in line.rsplit(None, 1)[-1] else " ")
        if not path.strip() or not number.strip().removeprefix("-").isdecimal():
            raise UserError(
                f"{where}: a line is a path and the class's number, `path label`. Received: {line!r}."
            )
        yield where, path.strip(), file.split, int(number)


def _numbers(rows: list[tuple[str, str, str, int]]) -> tuple[str, ...]:
    return tuple(str(number) for number in range(max((row[3] for row in rows), default=0) + 1))


def _named(row: tuple[str, str, str, int], classes: tuple[str, ...]) -> NamedRow:
    where, path, split, number = row
    if number >= len(classes) or number < -1:
        raise UserError(
            f"{where}: a class's number is from 0 to {len(classes) - 1}, or -1 for none. "
            f"Received: {number}."
        )
    labels = () if number == -1 else ((classes[number], None, None),)
    return NamedRow(where, f"{split}/{path}", path, split, labels)
