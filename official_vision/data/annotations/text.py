"""Annotation text: whole files, class lists and times, with errors that name the line."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from official_vision.data.video.video_files import FolderContent
from official_vision.errors import UserError
from official_vision.names import existing_path, one_spelling, shown

CLASSES_FILE = "classes.txt"


def read_text(path: str | os.PathLike, *, foreign_bytes: bool = False) -> str:
    """Returns a UTF-8 file's text, without a byte order mark.

    Args:
      path: of the file.
      foreign_bytes: let bytes pass that are not UTF-8, as Python reads those of a path, since the text
        may hold the names of files.

    Raises:
      UserError: it can't be read, or is not UTF-8.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"An annotation file must be readable. Received: {path} ({reason}). Check the path."
        ) from error
    try:
        # Text of two or four bytes per letter contains zeros; a file's name has none.
        errors = "surrogateescape" if foreign_bytes and b"\0" not in content else "strict"
        return content.decode("utf-8-sig", errors).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"An annotation file must be UTF-8 text. Received: {path} ({error}). Save it as UTF-8."
        ) from error


def classes_beside(path: str | os.PathLike) -> tuple[str, ...] | None:
    """Returns the names in classes.txt beside the file, one per line; None when there is no such file."""
    beside = Path(path).parent / CLASSES_FILE
    if not beside.is_file():
        return None
    # One line is one name: texts may hold what str.splitlines takes for a line's end as well.
    names = tuple(one_spelling(line) for line in read_text(beside).split("\n") if line.strip())
    if len(set(names)) != len(names):
        raise UserError(f"{beside}: a class is named once. Received: a name twice. Remove it.")
    return names


def csv_records(path: str | os.PathLike) -> Iterator[tuple[str, list[str]]]:
    """Yields ("file:line where it begins", fields) of every csv record; fields may hold line ends.

    Raises:
      UserError: names the file and the line that is not csv.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    line = 1
    try:
        for fields in reader:
            if fields:
                yield f"{path}:{line}", fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{path}:{line}: the record that begins here is not csv. Received: {error}. "
            "Mend its quotes or copy the file again."
        ) from error


def csv_rows(
    path: str | os.PathLike, needed: Collection[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yields ("file:line where it begins", column -> value) of every record below the header.

    Raises:
      UserError: the header lacks a column of `needed`, or a record has another number of values.
    """
    records = csv_records(path)
    _, header = next(records, ("", []))
    for name in needed:
        if name not in header:
            raise UserError(
                f"{path}:1: the header must name {', '.join(needed)}. Received: {','.join(header)!r}. "
                f"Add {name!r}."
            )
    for where, fields in records:
        if len(fields) != len(header):
            raise UserError(
                f"{where}: a line has a value for every column. "
                f"Received: {len(fields)} values for {len(header)} columns. Mend it."
            )
        yield where, dict(zip(header, fields, strict=True))


def check_class_count(
    classes: Collection[str], allowed: tuple[int, ...], source: str | os.PathLike
) -> None:
    """Raises UserError unless there are as many classes as the data set officially has.

    A part of the classes would otherwise be numbered anew, and fit no other's scores.
    """
    if len(classes) not in allowed:
        wanted = " or ".join(str(number) for number in allowed)
        raise UserError(
            f"{source}: the data set has {wanted} classes. Received: {len(classes)}. "
            "Copy the official files again, or describe a part of them in the format csv."
        )


def seconds(text: str, where: str) -> float | None:
    """Reads a time in seconds; None for an empty text."""
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(
            f"{where}: a time must be a number of seconds. Received: {text!r}. Mend it."
        )
    return value


def numbered_lines(path: str | os.PathLike) -> Iterator[tuple[str, str]]:
    """Yields ("file:number", line) of every line that is not blank, without surrounding blanks."""
    # Texts may hold what str.splitlines takes for a line's end as well; editors count "\n" alone.
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield f"{path}:{number}", line.strip()


def notes_of_others(
    root: Path, content: FolderContent, unused: Mapping[str, Collection[Path]]
) -> tuple[str, ...]:
    """Returns a note for each kind of file below a folder that is not read.

    Args:
      root: the folder; its class list is passed over.
      content: of the folder.
      unused: videos that are not read either, by what they are.
    """
    kinds = {
        **unused,
        "links that lead to nothing": content.dead_links,
        "hidden videos": content.hidden,
        "files without a video's ending": {*content.others} - {root / CLASSES_FILE},
    }
    return tuple(
        f"{len(paths)} {kind} are passed over, {shown(min(paths).relative_to(root))} the first"
        for kind, paths in kinds.items()
        if paths
    )


def official_files(folder: Path, splits: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Returns (file, split) of those of a data set's official files that a folder holds.

    Args:
      folder: of the files.
      splits: file name -> split.

    Raises:
      UserError: it has none of them.
    """
    paths = [(folder / name, split) for name, split in splits.items() if (folder / name).is_file()]
    if not paths:
        raise UserError(
            f"PrepareSpec.annotations must be the folder with {' and '.join(splits)}. "
            f"Received: {folder}, which has neither."
        )
    return paths


def located(videos: str | os.PathLike, candidates: Iterable[str]) -> str:
    """Returns the first path below `videos` that exists; the first of all when none does."""
    candidates = list(candidates)
    existing = (path for path in candidates if os.path.isfile(existing_path(videos, path)))
    return next(existing, candidates[0])
