"""The list of videos that a command works on, from files, folders and lists."""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from pathlib import Path

from official_vision.data.video.video_files import SUFFIXES, content_of, is_video
from official_vision.errors import UserError
from official_vision.names import existing_path

ANNOTATED = "annotated.mp4"  # how names of annotated videos end
ANNOTATED_MARK = "annotated by official_vision"  # the comment in an annotated video's header


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
    if not path.name.endswith(f".{ANNOTATED}"):
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
