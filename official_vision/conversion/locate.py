"""Finds the weights that --checkpoint names."""

from __future__ import annotations

import re
from pathlib import Path

from official_vision.errors import UserError

_INDEX = ".index"
_PART = re.compile(r"\.data-\d{5}-of-\d{5}$")
# Files of weights that are not checkpoints of TensorFlow.
_WEIGHTS = (".h5", ".hdf5", ".keras", ".safetensors")
_LISTED = re.compile(r'^model_checkpoint_path: "(?:.*/)?([^"/]+)"', re.MULTILINE)


def weights_at(path: str) -> str:
    """Returns a file of weights, or the path prefix of a TensorFlow checkpoint.

    Args:
      path: of one of these, of a checkpoint's .index or .data file, or of a folder, whose newest checkpoint
        (or only file of weights) is taken.

    Raises:
      UserError: there is nothing, or a folder has several files of weights.
    """
    location = Path(path)
    if location.is_dir():
        return _newest(location)
    prefix = _PART.sub("", path).removesuffix(_INDEX)
    if Path(prefix + _INDEX).is_file():
        return prefix
    if location.is_file() and prefix == path:
        return path
    raise UserError(
        "--checkpoint must be a file of weights, a checkpoint's path prefix or a folder with one. "
        f"Received: {path}, where there is none. Correct the path."
    )


def _newest(folder: Path) -> str:
    prefixes = sorted(
        (file.name.removesuffix(_INDEX) for file in folder.glob(f"*{_INDEX}")), key=_by_number
    )
    if prefixes:
        return str(folder / (_listed(folder, prefixes) or prefixes[-1]))
    weights = sorted(file for file in folder.iterdir() if file.suffix in _WEIGHTS)
    if len(weights) == 1:
        return str(weights[0])
    seen = ", ".join(file.name for file in weights[:5]) or "none"
    raise UserError(
        f"A folder must hold a checkpoint or one file of weights. Received: {folder} ({seen}). Name the file."
    )


def _listed(folder: Path, prefixes: list[str]) -> str:
    """Returns the newest of the folder's checkpoints by TensorFlow's list of them; empty where there is no list."""
    try:
        listed = _LISTED.search((folder / "checkpoint").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""
    return listed[1] if listed and listed[1] in prefixes else ""


def _by_number(name: str) -> tuple[int, str]:
    number = re.search(r"(\d+)$", name)
    return (int(number[1]) if number else -1, name)
