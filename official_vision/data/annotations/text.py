"""Reading annotation text: whole files, class lists and times, with errors that name the line."""

from __future__ import annotations

import math
import os
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
