"""The list of videos, the paths of their outputs, and which of them are done."""

from __future__ import annotations

import codecs
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files, formats
from official_vision.data.video.video_files import SUFFIXES, content_of, is_video
from official_vision.errors import UserError
from official_vision.names import existing_path, file_stem

_ANNOTATED = "annotated.mp4"
_ENDINGS = ("json", "timeline.png", _ANNOTATED)
_LONGEST_NUMBER = len("-99999")

ANNOTATED_MARK = "annotated by official_vision"  # the comment in an annotated video's header


@dataclasses.dataclass(frozen=True)
class Outputs:
    """A video's files: scores and segments, timeline, and the annotated video if requested."""

    json: Path
    timeline: Path
    overlay: Path | None

    def done(self, request: Mapping[str, Any]) -> bool:
        """Returns whether all files exist and were made for the same request.

        The JSON file is written last: where it is, the others are whole.
        """
        others = (path for path in (self.timeline, self.overlay) if path is not None)
        if not all(path.is_file() for path in others):
            return False
        try:
            content = formats.PREDICTION.read(self.json, {"request": dict, "prediction": dict})
        except UserError:  # none, of another version, or damaged: the video is classified again
            return False
        return content["request"] == dict(request)

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
    """Writes the predictions of many videos as one JSON list, with one in memory at a time.

    Args:
      path: of the JSON file.
      outputs: of videos whose JSON files exist.
    """
    with (
        files.written_aside(path) as partial,
        open(partial, "w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        for number, files_of_video in enumerate(outputs):
            prediction = formats.PREDICTION.read(files_of_video.json)["prediction"]
            file.write("[\n" if number == 0 else ",\n")
            file.write(json.dumps(prediction, ensure_ascii=False, allow_nan=False))
        file.write("\n]\n" if outputs else "[]\n")


def find_videos(paths: Sequence[str], lists: Sequence[str]) -> list[str]:
    """Returns the videos of files, folders and list files, each once, in order.

    Args:
      paths: files, or folders, which are searched for files with a video's suffix, but for annotated videos
        that `write_overlay` made.
      lists: text files with a path per line, relative to the list's folder; empty lines and those
        that begin with # are skipped.

    Raises:
      UserError: a list can't be read, or a folder or a list names no video.
    """
    videos: list[str] = []
    for path in paths:
        videos += _in_folder(Path(path)) if os.path.isdir(path) else [str(existing_path("", path))]
    for path in lists:
        videos += _listed(Path(path))
    return list(dict.fromkeys(videos))


def _in_folder(folder: Path) -> list[str]:
    content = content_of(folder)
    paths = (*content.videos, *content.dead_links)
    videos = sorted(str(path) for path in paths if is_video(path) and not is_annotated(path))
    if not videos:
        unreadable = f" ({content.unreadable[0]} can't be read)" if content.unreadable else ""
        raise UserError(
            f"A folder must have videos ({', '.join(SUFFIXES)}). Received: {folder}, which has none{unreadable}. "
            "Name the files one by one."
        )
    return videos


def is_annotated(path: Path) -> bool:
    """Returns whether a video is one that `write_overlay` made, by its name and by a mark in the file."""
    if not path.name.endswith(f".{_ANNOTATED}"):
        return False
    import av  # late: mistakes in names are reported at once

    try:
        # In a relative path FFmpeg would take text before a colon for a protocol.
        with av.open(os.path.abspath(path)) as container:
            return container.metadata.get("comment") == ANNOTATED_MARK
    except (av.error.FFmpegError, ValueError):
        return False


def _listed(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
            raise ValueError("it is not UTF-8")
    except (OSError, ValueError) as error:
        raise UserError(
            f"--videos names a text file with a video's path per line. Received: {path} ({error}). "
            "Name such a file, or the videos with --video."
        ) from error
    # A path may have bytes that are not UTF-8, and characters at which str.splitlines would split.
    lines = content.decode("utf-8-sig", "surrogateescape").split("\n")
    named = [line.strip() for line in lines]
    videos = [str(existing_path(path.parent, name)) for name in named if name and name[0] != "#"]
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
    files.check_folder_writable(folder, "--output_dir")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    room = max(len(ending) for ending in _ENDINGS) + 1 + _LONGEST_NUMBER
    named: dict[str, Outputs] = {}
    taken: set[str] = set()
    for video in videos:
        stem, number = file_stem(Path(video).stem, room), 1
        name = stem
        # Where case makes no difference, one file would be written over the other.
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        json_file, timeline, annotated = (folder / f"{name}.{ending}" for ending in _ENDINGS)
        named[video] = Outputs(json_file, timeline, annotated if overlay else None)
    return named
