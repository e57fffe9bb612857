"""Which videos are meant, where their outputs go, and which of them are done."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.errors import UserError

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")


@dataclasses.dataclass(frozen=True)
class Outputs:
    """A video's files: found values, timeline, and the annotated video where that is asked for."""

    json: Path
    timeline: Path
    overlay: Path | None

    def done(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Returns what was found when the same was asked before; None where anything lacks or differs.

        The JSON file is written last: where it is, the others are whole.
        """
        others = (path for path in (self.timeline, self.overlay) if path is not None)
        if not self.json.is_file() or not all(path.is_file() for path in others):
            return None
        try:
            found = files.read_json(self.json)
        except UserError:
            return None
        same = isinstance(found, dict) and found.get("request") == dict(request)
        return found["prediction"] if same else None


def find_videos(paths: Sequence[str], lists: Sequence[str]) -> list[str]:
    """Returns the videos that files, folders and list files name, each once, in order.

    Args:
      paths: files, or folders, which are searched for files with a video's suffix.
      lists: text files with a path a line, relative to the list's own folder; empty lines and those
        that begin with # are skipped.

    Raises:
      UserError: a list can't be read, or a folder or a list names no video.
    """
    found: list[str] = []
    for path in paths:
        found += _in_folder(Path(path)) if Path(path).is_dir() else [path]
    for path in lists:
        found += _listed(Path(path))
    return list(dict.fromkeys(found))


def _in_folder(folder: Path) -> list[str]:
    videos = sorted(
        str(path)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )
    if not videos:
        raise UserError(
            f"A folder must hold videos ({', '.join(SUFFIXES)}). Received: {folder}, which holds none. "
            "Name the files one by one."
        )
    return videos


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--videos names a text file with a video's path a line. Received: {path} ({error}). "
            "Name such a file, or the videos with --video."
        ) from error
    named = [line.strip() for line in lines]
    videos = [str(path.parent / name) for name in named if name and not name.startswith("#")]
    if not videos:
        raise UserError(f"A list must name videos. Received: {path}, which names none. Add them.")
    return videos


def outputs_of(
    videos: Sequence[str], folder: str | os.PathLike, overlay: bool
) -> dict[str, Outputs]:
    """Names each video's files; videos of one name in several folders get numbers.

    Args:
      videos: paths.
      folder: of the outputs; it is made.
      overlay: whether there is to be an annotated video.

    Raises:
      UserError: the folder can't be made.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output_dir must be a folder that can be written. Received: {folder} ({error.strerror})."
        ) from error
    named: dict[str, Outputs] = {}
    taken: set[str] = set()
    for video in videos:
        stem, number = Path(video).stem, 1
        name = stem
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        named[video] = Outputs(
            folder / f"{name}.json",
            folder / f"{name}.timeline.png",
            folder / f"{name}.annotated.mp4" if overlay else None,
        )
    return named
