"""The folder of a one-shot search: a folder per stage, and search.json, which sums up.

output/
  search.json      settings and, a stage after the other, its figures
  space.json       the over-connected network
  search/          the run that trains it (checkpoints, learned.jsonl, ...)
  derived.json     the discrete network: an architecture that official-vision train takes
  derived/         its weights, inherited from the one-shot network
  retrain/         the run that trains it
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from official_vision import config as configuration
from official_vision import formats
from official_vision.config import Config
from official_vision.errors import UserError

STAGES = ("search", "derive", "retrain")
RECORD_FILE = "search.json"
SPACE_FILE = "space.json"
SEARCH_FOLDER = "search"
DERIVED_FILE = "derived.json"
WEIGHTS = "derived/weights"  # a checkpoint's path prefix
RETRAIN_FOLDER = "retrain"


def read_record(folder: Path) -> dict[str, Any]:
    """Reads search.json: the settings ("config") and the finished stages' figures ("stages").

    Raises:
      UserError: the folder has none, or one of another program.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        raise UserError(
            f"A search's folder has {RECORD_FILE}, written by official-vision search. Received: {folder}, which "
            "has none. Run the search first."
        )
    return formats.SEARCH.read(path, {"config": dict, "stages": dict})


def stages_of(folder: Path) -> dict[str, Any]:
    """Returns the figures of the stages that are done, by stage; none before the first."""
    return read_record(folder)["stages"] if (folder / RECORD_FILE).is_file() else {}


def write_stage(folder: Path, config: Config, stage: str, figures: Mapping[str, Any]) -> None:
    """Adds a stage to search.json; if it differs from before, later stages, which depend on it, are dropped.

    Where it doesn't, nothing was done with these settings, and the record stays as it is.

    Args:
      folder: of the search.
      config: every setting.
      stage: of STAGES.
      figures: plain JSON values.
    """
    done = stages_of(folder)
    if done.get(stage) == figures:
        return
    earlier = STAGES[: STAGES.index(stage)]
    stages = {name: done[name] for name in earlier if name in done} | {stage: dict(figures)}
    record = {
        "method": config.search.method,
        "config": config.to_dict(),
        "versions": configuration.versions(),
        "stages": {name: stages[name] for name in STAGES if name in stages},
    }
    formats.SEARCH.write(folder / RECORD_FILE, record)
