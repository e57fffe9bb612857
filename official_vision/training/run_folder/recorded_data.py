"""The description of a run's data in its folder, for when the data are moved or gone: data.json."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from official_vision import files, formats
from official_vision.config import Config
from official_vision.data.storage.index import INDEX_FILE, Index
from official_vision.errors import UserError

DATA_FILE = "data.json"
_PATH, _INDEX = "path", "index"


@dataclasses.dataclass(frozen=True)
class RunData:
    """A split as a run was trained or validated on it.

    Attributes:
      path: where it lay, absolute.
      index: of it, without the names of videos and shards.
    """

    path: str
    index: Index


def write_run_data(model_dir: Path, config: Config, indexes: Mapping[str, Index]) -> None:
    """Writes data.json into a run's folder."""
    paths = {"train": config.train_data.path, "validation": config.validation_data.path}
    record = {
        name: {_PATH: os.path.abspath(paths[name]), _INDEX: index.without_records().to_dict()}
        for name, index in indexes.items()
    }
    formats.RUN_DATA.write(model_dir / DATA_FILE, record)


def read_run_data(model_dir: str | os.PathLike) -> dict[str, RunData]:
    """Reads data.json by split; empty where the folder has none, as that of converted weights.

    Raises:
      UserError: the file is damaged.
    """
    path = Path(model_dir) / DATA_FILE
    if not path.is_file():
        return {}
    record = formats.RUN_DATA.read(path)
    with files.damage_reported(path):
        return {
            name: RunData(str(entry[_PATH]), Index.from_dict(entry[_INDEX], path))
            for name, entry in record.items()
        }


def located(path: str, data: RunData | None) -> str:
    """Returns where a run's split lies: at its path from here, else where it lay when the run began."""
    if data is None or (Path(path) / INDEX_FILE).is_file():
        return path
    return data.path if (Path(data.path) / INDEX_FILE).is_file() else path


def check_located(
    path: str,
    data: RunData | None,
    model_dir: str | os.PathLike,
    split: str = "validation",
    flag: str = "--data",
) -> None:
    """Refuses a path at which there is nothing, and names the paths that were tried.

    Args:
      path: as `located` returned it.
      data: what the run recorded.
      model_dir: the run's folder.
      split: train or validation, for the error.
      flag: that names the split's folder, for the error.

    Raises:
      UserError: there is none.
    """
    if not path or Path(path).is_dir():
        return  # errors of what is there are reported by its reader
    places = dict.fromkeys([os.path.abspath(path), *([data.path] if data else [])])
    raise UserError(
        f"Clips come from a prepared split. Received: {model_dir}, whose {split} data are not at "
        f"{' nor at '.join(places)}. Name their folder by {flag}."
    )
