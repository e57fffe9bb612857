"""Records of a run that grow line by line: JSON, one object per line, each with its step."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from official_vision import files


def read_lines(path: str | os.PathLike, number: str = "step") -> list[dict[str, Any]]:
    """Returns the records of a file, none where there is no file.

    Lines that a kill or a full disk has cut off are left out.

    Args:
      path: of the file.
      number: key of the whole number that each record has.
    """
    path = Path(path)
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get(number), int):
                records.append(record)
    return records


class JsonLines:
    """Appends records, going on where a run resumes."""

    def __init__(self, path: str | os.PathLike, start_step: int):
        """Drops the records of steps that will be repeated after an interruption.

        Args:
          path: of the file; made with the first record.
          start_step: step at which the run goes on. At step 0 it begins afresh.
        """
        self._path = Path(path)
        records = read_lines(path)
        remaining = (
            [record for record in records if record["step"] <= start_step] if start_step else []
        )
        self.records: tuple[dict[str, Any], ...] = tuple(remaining)
        self.dropped: tuple[dict[str, Any], ...] = tuple(records[len(remaining) :])
        if self._path.is_file():
            files.write_text(self._path, "".join(map(_line, remaining)))

    def append(self, record: Mapping[str, Any]) -> None:
        """Writes a record, which has a step; NaN is not allowed."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(_line(record))


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n"
