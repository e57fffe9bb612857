"""The files that are written of each video: their names, and whether they are done."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.errors import UserError
from official_vision.formats import Format
from official_vision.names import file_stem

_LONGEST_NUMBER = len("-99999")
REQUEST = "request"  # key of a video's JSON file: all that its files depend on


def names_of(
    videos: Sequence[str], folder: str | os.PathLike, endings: Collection[str]
) -> dict[str, Path]:
    """Names each video's files; videos of one name in several folders get numbers.

    Args:
      videos: paths.
      folder: of the outputs; it is made.
      endings: of the names, each after a point.

    Returns:
      By video the path of its files without their ending.

    Raises:
      UserError: the folder can't be made or written.
    """
    files.check_folder_writable(folder, "--output_dir")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    room = max(len(ending) for ending in endings) + 1 + _LONGEST_NUMBER
    named: dict[str, Path] = {}
    taken: set[str] = set()
    for video in videos:
        stem, number = file_stem(Path(video).stem, room), 1
        name = stem
        # Where case makes no difference, one file would be written over the other.
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        named[video] = folder / name
    return named


def with_ending(path: Path, ending: str) -> Path:
    """Returns a path of `names_of` with an ending; the name may have points in it."""
    return path.parent / f"{path.name}.{ending}"


def request_of(
    model: str, weights: Path, video: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns all that a video's files depend on besides our code: its file, the model's, and the settings.

    Args:
      model: path of the model, as it is loaded.
      weights: the model's file that another training or export changes.
      video: its path.
      settings: as JSON values.
    """
    return {
        "model": [model, _stamp(weights)],
        "video": [str(Path(video).absolute()), _stamp(Path(video))],
        **settings,
    }


def _stamp(path: Path) -> list[int] | None:
    """Returns size and time of change, which distinguish a file from another of the same name without reading it."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def is_done(
    path: Path,
    others: Collection[Path],
    file_format: Format,
    result: str,
    request: Mapping[str, Any],
) -> bool:
    """Returns whether all files of a video exist and were made for the same request.

    Args:
      path: of its JSON file, which is written last: where it is, the others are whole.
      others: its other files.
      file_format: of the JSON file.
      result: key of what the file is about.
      request: of `request_of`.
    """
    if not all(other.is_file() for other in others):
        return False
    try:
        content = file_format.read(path, {REQUEST: dict, result: dict})
    except UserError:  # none, of another version, or damaged: it is made again
        return False
    return content[REQUEST] == dict(request)


def check_replaceable(path: Path, what: str, result: str) -> None:
    """Refuses to replace a JSON file of another origin: annotations often have their video's name.

    Args:
      path: of a video's JSON file, which may be missing.
      what: is written, for the error, e.g. "Predictions".
      result: as of `is_done`.

    Raises:
      UserError: there is one.
    """
    if path.exists() and not {REQUEST, result} <= set(_content(path)):
        raise UserError(
            f"{what} replace only what this command wrote. Received: {path}, which is of another "
            "origin. Name another --output_dir, or give --overwrite."
        )


def write_result(
    path: Path,
    file_format: Format,
    request: Mapping[str, Any],
    result: Mapping[str, Mapping[str, Any]],
    series: str,
) -> None:
    """Writes a video's JSON file, indented but for a series of numbers, each of which would have a line.

    Args:
      path: of the file.
      file_format: its format.
      request: of `request_of`.
      result: what the file is about, by its key.
      series: key in the result of what is written on one line.
    """
    mark = uuid.uuid4().hex
    ((key, values),) = result.items()
    content = {**file_format.header, REQUEST: dict(request), key: {**values, series: mark}}
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    line = json.dumps(values[series], ensure_ascii=False, allow_nan=False)
    files.write_text(path, text.replace(f'"{mark}"', line))


def _content(path: Path) -> dict[str, Any]:
    try:
        content = files.read_json(path)
    except UserError:
        return {}
    return content if isinstance(content, dict) else {}
