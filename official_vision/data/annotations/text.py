"""Reading annotation text: whole files, class lists and times, with errors that name the line."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from official_vision.errors import UserError

CLASSES_FILE = "classes.txt"


def read_text(path: str | os.PathLike) -> str:
    """Returns a UTF-8 file's text, without a byte order mark; raises UserError when it can't be read."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(
            f"An annotation file must be readable. Received: {path} ({error.strerror}). Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"An annotation file must be UTF-8 text. Received: {path} ({error})."
        ) from error


def classes_beside(path: str | os.PathLike) -> tuple[str, ...] | None:
    """Returns the names in classes.txt beside the file, one a line; None when there is no such file."""
    beside = Path(path).parent / CLASSES_FILE
    if not beside.is_file():
        return None
    names = tuple(line.strip() for line in read_text(beside).splitlines() if line.strip())
    if len(set(names)) != len(names):
        raise UserError(f"{beside}: a class is named once. Received: a name twice. Remove it.")
    return names


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
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield f"{path}:{number}", line.strip()


def official_files(folder: Path, splits: Mapping[str, str]) -> list[tuple[Path, str]]:
    """Returns (file, split) of those of a data set's official files that a folder holds.

    Args:
      folder: of the files.
      splits: file name -> split.

    Raises:
      UserError: it holds none.
    """
    found = [(folder / name, split) for name, split in splits.items() if (folder / name).is_file()]
    if not found:
        raise UserError(
            f"PrepareSpec.annotations must be the folder that holds {' and '.join(splits)}. "
            f"Received: {folder}, which holds neither."
        )
    return found


def located(videos: str | os.PathLike, candidates: Iterable[str]) -> str:
    """Returns the first path below `videos` that exists; the first of all when none does."""
    candidates = list(candidates)
    existing = (path for path in candidates if (Path(videos) / path).is_file())
    return next(existing, candidates[0])
