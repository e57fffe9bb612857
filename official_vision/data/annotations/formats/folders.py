"""A plain folder of videos, one label per video: <split>/<class>/<video>, or <class>/<video> without splits."""

from __future__ import annotations

import os
from pathlib import Path

from official_vision.data.annotations.manifest import Manifest, NamedRow, make_manifest
from official_vision.data.annotations.text import classes_beside, notes_of_others
from official_vision.data.video.video_files import content_of
from official_vision.errors import UserError
from official_vision.names import shown

_FORMS = {3: "<split>/<class>/<video>", 2: "<class>/<video>"}


def read_folders(path: str | os.PathLike) -> Manifest:
    """Reads the folder; paths in the manifest are relative to it.

    Videos three levels down have a split; where there are none, those two levels down have a class
    alone, and preparation divides them. Notes name every video and file elsewhere, is
    hidden, or is a link to nothing.

    Raises:
      UserError: it is no folder, can't be listed, or has no video two or three levels down.
    """
    root = Path(path)
    if not root.is_dir():
        raise UserError(
            f"The annotation must be a folder <split>/<class>/<video> or <class>/<video>. Received: {path}."
        )
    content = content_of(root)
    if content.unreadable:
        raise UserError(
            f"Folders of videos must be readable. Received: {content.unreadable[0]}. Change its permissions."
        )
    depths = {len(video.relative_to(root).parts) for video in content.videos}
    depth = 3 if 3 in depths else 2
    videos = [video for video in content.videos if len(video.relative_to(root).parts) == depth]
    rows = [_row(video, root) for video in videos]
    elsewhere = {f"videos that are not {_FORMS[depth]}": {*content.videos} - {*videos}}
    notes = notes_of_others(root, content, elsewhere)
    return make_manifest(rows, classes_beside(root / "any"), str(path), notes)


def _row(video: Path, root: Path) -> NamedRow:
    relative = video.relative_to(root)
    *split, name, _ = relative.parts
    return NamedRow(
        shown(video), shown(relative), str(relative), "".join(split), ((shown(name), None, None),)
    )
