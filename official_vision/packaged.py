"""Gin files and architectures that come with the package, by name, from a checkout as from an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_FOLDER = "gin_configs"
# A wheel has the folder inside the package, a checkout beside it.
ROOT = _PACKAGE if (_PACKAGE / _FOLDER).is_dir() else _PACKAGE.parent


def gin_folder() -> Path:
    """Returns the folder of the gin files that come with the package."""
    return ROOT / _FOLDER


def gin_files() -> list[Path]:
    """Returns all gin files that come with the package, sorted by path."""
    return sorted(gin_folder().rglob("*.gin"))


def located(path: str | os.PathLike) -> str:
    """Returns the path of a file: the user's, or else one that comes with the package.

    Args:
      path: "my.gin", which is taken where it exists; "charades.gin" or "gin_configs/charades.gin", which are looked
        for in the package then.

    Returns:
      A path of an existing file; `path` itself where there is none.
    """
    name = os.fspath(path)
    for candidate in (Path(name), gin_folder() / name, ROOT / name):
        if candidate.is_file():
            return str(candidate)
    return name
