"""A plain folder of videos: <split>/<class>/<video file>, one label a video."""

from __future__ import annotations

import os
from pathlib import Path

from official_vision.data.annotations.text import classes_beside, notes_of_others
from official_vision.data.manifest import Manifest, NamedRow, make_manifest
from official_vision.errors import UserError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg")


def read_folders(path: str | os.PathLike) -> Manifest:
    """Reads the folder; paths in the manifest are relative to it. Notes name files that lie elsewhere.

    Raises:
      UserError: it is no folder, or holds no video three levels down.
    """
    root = Path(path)
    if not root.is_dir():
        raise UserError(
            f"The annotation must be a folder <split>/<class>/<video>. Received: {path}."
        )
    videos = sorted(
        file
        for file in root.glob("*/*/*")
        if file.suffix.lower() in VIDEO_SUFFIXES and file.is_file()
    )
    rows = []
    for file in videos:
        relative = file.relative_to(root)
        split, name = relative.parts[:2]
        rows.append(NamedRow(str(file), str(relative), str(relative), split, ((name, None, None),)))
    form = f"<split>/<class>/<video> with {', '.join(VIDEO_SUFFIXES)}"
    notes = notes_of_others(root, videos, form)
    return make_manifest(rows, classes_beside(root / "any"), str(path), notes)
