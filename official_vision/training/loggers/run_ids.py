"""The names under which loggers know a run, so that a resumed run goes on as the same one: loggers.json."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from official_vision import formats

LOGGERS_FILE = "loggers.json"
_IDS = "ids"


def run_id(folder: Path, store: str, make: Callable[[], str]) -> str:
    """Returns the id of a run in a store, recorded in the run's folder.

    Args:
      folder: of the run.
      store: of the logger: another one has another id.
      make: makes the run there and returns its id, if the folder has none.
    """
    path = folder / LOGGERS_FILE
    ids = formats.LOGGERS.read(path, {_IDS: dict})[_IDS] if path.is_file() else {}
    if store not in ids:
        ids[store] = make()
        formats.LOGGERS.write(path, {_IDS: ids})
    return ids[store]
