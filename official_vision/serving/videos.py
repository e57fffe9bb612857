"""Which videos are meant, where their outputs go, and which of them are done."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.errors import UserError

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")

ANNOTATED = ".annotated.mp4"
ANNOTATED_MARK = "annotated by official_vision"  # the comment in an annotated video's header


@dataclasses.dataclass(frozen=True)
class Outputs:
    """A video's files: scores and segments, timeline, and the annotated video where that is asked for."""

    json: Path
    timeline: Path
    overlay: Path | None

    def done(self, request: Mapping[str, Any]) -> bool:
        """Tells whether all files are there and were made for the same request.

        The JSON file is written last: where it is, the others are whole.
        """
        others = (path for path in (self.timeline, self.overlay) if path is not None)
        if not all(path.is_file() for path in others):
            return False
        content = self._content()
        return content.get("request") == dict(request) and "prediction" in content

    def check_replaceable(self) -> None:
        """Refuses to replace a JSON file of another origin: annotations often have their video's name.

        Raises:
          UserError: there is one.
        """
        if self.json.exists() and not {"request", "prediction"} <= set(self._content()):
            raise UserError(
                f"Predictions replace only what this command wrote. Received: {self.json}, which is of another "
                "origin. Name another --output_dir, or give --overwrite."
            )

    def _content(self) -> dict[str, Any]:
        try:
            content = files.read_json(self.json)
        except UserError:
            return {}
        return content if isinstance(content, dict) else {}


def write_all(path: str | os.PathLike, outputs: Sequence[Outputs]) -> None:
    """Writes the predictions of many videos as one JSON list, holding one at a time.

    Args:
      path: of the JSON file.
      outputs: of videos whose own JSON files are there.
    """
    with files.written_aside(path) as partial, open(partial, "w", encoding="utf-8") as file:
        for number, own in enumerate(outputs):
            prediction = files.read_json(own.json)["prediction"]
            file.write("[\n" if number == 0 else ",\n")
            file.write(json.dumps(prediction, ensure_ascii=False, allow_nan=False))
        file.write("\n]\n" if outputs else "[]\n")


def find_videos(paths: Sequence[str], lists: Sequence[str]) -> list[str]:
    """Returns the videos that files, folders and list files name, each once, in order.

    Args:
      paths: files, or folders, which are searched for files with a video's suffix, but for annotated videos
        that `write_overlay` made.
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
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and not is_annotated(path)
    )
    if not videos:
        raise UserError(
            f"A folder must hold videos ({', '.join(SUFFIXES)}). Received: {folder}, which holds none. "
            "Name the files one by one."
        )
    return videos


def is_annotated(path: Path) -> bool:
    """Tells whether a video is one that `write_overlay` made, by its name and by a mark in the file."""
    if not path.name.endswith(ANNOTATED):
        return False
    import av  # late: mistakes in names are answered at once

    try:
        with av.open(str(path)) as container:
            return container.metadata.get("comment") == ANNOTATED_MARK
    except (av.error.FFmpegError, ValueError):
        return False


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
      UserError: the folder can't be made or written.
    """
    folder = Path(folder)
    files.check_writable_folder(folder, "--output_dir")
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
            folder / f"{name}{ANNOTATED}" if overlay else None,
        )
    return named
