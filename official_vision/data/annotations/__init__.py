"""One reader a data set's format -> one Manifest; `READERS` is the whole list."""

from __future__ import annotations

import os
from collections.abc import Callable

from official_vision.data.annotations.folders import read_folders
from official_vision.data.annotations.generic_csv import read_csv
from official_vision.data.annotations.json_lines import read_json_lines
from official_vision.data.manifest import Manifest

READERS: dict[str, Callable[[str | os.PathLike], Manifest]] = {
    "csv": read_csv,
    "json_lines": read_json_lines,
    "folders": read_folders,
}
