"""Finds the videos in a folder by their endings; hidden ones are left alone."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

# Endings of the containers (and of the raw streams) that FFmpeg reads, in lower case.
SUFFIXES = (
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc",
    ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mod", ".mov", ".mp4", ".mpe", ".mpeg",
    ".mpg", ".mts", ".mxf", ".ogg", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob", ".webm",
    ".wmv", ".y4m",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class FolderContent:
    """The files below a folder, each list sorted.

    Attributes:
      videos: files with a video's ending.
      others: files with another ending.
      hidden: videos whose name, or a folder's above them, begins with a point: what notebooks and file
        managers leave there. The second file that macOS makes beside each one (._NAME) is not counted.
      dead_links: links to what is not there.
      unreadable: folders that can't be listed.
    """

    videos: tuple[Path, ...]
    others: tuple[Path, ...]
    hidden: tuple[Path, ...]
    dead_links: tuple[Path, ...]
    unreadable: tuple[Path, ...]


def is_video(path: Path) -> bool:
    """Returns whether the file's ending is a video's."""
    return path.suffix.lower() in SUFFIXES


def content_of(folder: Path) -> FolderContent:
    """Lists a folder and all below it, links to folders included."""
    unreadable: list[Path] = []
    kinds: dict[str, list[Path]] = {"videos": [], "others": [], "hidden": [], "dead_links": []}
    for path in _files_below(folder, unreadable):
        if kind := _kind(path, path.relative_to(folder)):
            kinds[kind].append(path)
    lists = {name: tuple(sorted(paths)) for name, paths in kinds.items()}
    return FolderContent(**lists, unreadable=tuple(sorted(unreadable)))


def _kind(path: Path, relative: Path) -> str | None:
    if any(part.startswith(".") for part in relative.parts):
        twin = path.name.startswith("._") or not is_video(path)
        return None if twin else "hidden"
    if not os.path.exists(path):
        return "dead_links"
    if not os.path.isfile(path):  # a pipe, a socket
        return "others"
    return "videos" if is_video(path) else "others"


def _files_below(folder: Path, unreadable: list[Path]) -> Iterator[Path]:
    """Yields files below a folder; a link to a parent folder is not followed."""
    for place, folders, names in os.walk(
        folder, followlinks=True, onerror=lambda error: unreadable.append(Path(error.filename))
    ):
        holding = Path(os.path.realpath(place))
        holding = {holding, *holding.parents}
        folders[:] = [f for f in folders if Path(os.path.realpath(Path(place, f))) not in holding]
        yield from (Path(place, name) for name in names)
