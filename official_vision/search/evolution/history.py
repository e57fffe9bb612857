"""The history of an evolution: one readable line per graph, appended, never rewritten."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from official_vision import formats
from official_vision.errors import UserError

POPULATION_FILE = "population.jsonl"
SETTINGS_FILE = "evolution.json"


def keep_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Writes the settings that the evolution depends on, or compares them with those in the folder.

    Raises:
      UserError: the folder's evolution began with other settings.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        formats.EVOLUTION.write(path, settings)
        return
    begun = read_settings(folder)
    names = sorted(n for n in {*begun, *settings} if begun.get(n) != settings.get(n))
    if names:
        changes = "; ".join(f"{n}: {begun.get(n)} then, {settings.get(n)} now" for n in names)
        raise UserError(
            f"An evolution goes on with its first settings. Received: {changes[:400]}. "
            f"Restore them, or name another folder than {folder}."
        )


def read_settings(folder: Path) -> dict[str, Any]:
    """Returns the settings that an evolution depends on, as recorded at its start."""
    return formats.EVOLUTION.read(folder / SETTINGS_FILE)


def read_history(folder: Path) -> list[dict[str, Any]]:
    """Returns the records, in order of id; a last line that a kill cut short is removed.

    Raises:
      UserError: a line that is no record of this file.
    """
    path = folder / POPULATION_FILE
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        os.truncate(path, len(whole))
    return [_record(path, number, line) for number, line in enumerate(whole.splitlines())]


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if record["id"] != number:
            raise ValueError
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"Line {number + 1} of a population has the graph of id {number}. "
            f"Received: {line[:80]!r} in {path}. Restore the file or begin in another folder."
        ) from None
    return record


def append(folder: Path, record: dict[str, Any]) -> None:
    """Adds a record; it is on the disk when this returns."""
    line = json.dumps(record, allow_nan=False) + "\n"
    with open(folder / POPULATION_FILE, "a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
