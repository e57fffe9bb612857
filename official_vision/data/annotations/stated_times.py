"""The lengths and actions that an annotation states: by what localisation is judged, without any video."""

from __future__ import annotations

import os
from pathlib import Path

from official_vision.data.storage.index import Index
from official_vision.errors import UserError

Times = list[tuple[str, float, tuple[tuple[int, float, float], ...]]]


def stated_times(path: str | os.PathLike) -> tuple[tuple[str, ...], Times]:
    """Reads the times of a prepared split, or of a csv file of Charades with Charades_v1_classes.txt beside it.

    Args:
      path: of the split's folder or of the file.

    Returns:
      The classes' names, and of each video its id, its length and its actions (class index, start, end), in the
      annotation's order.

    Raises:
      UserError: it is neither, or its annotation states no lengths.
    """
    path = Path(path)
    if path.is_file():
        return _of_charades(path)
    index = Index.read(path, damaged_is_fatal=False)
    if not index.stated_times:
        raise UserError(
            "Localisation at 25 points needs an annotation that states each video's length. Received: "
            f"{path}, which was prepared from one without. State lengths, as the format intervals can."
        )
    return index.classes, [(row.id, row.length_sec, row.actions) for row in index.stated_times]


def _of_charades(file: Path) -> tuple[tuple[str, ...], Times]:
    # Imported late: a prepared split does without the packages that decode videos.
    from official_vision.data.annotations.formats.charades import FILES, read_charades

    if file.name not in FILES:
        raise UserError(
            f"Times are those of a prepared split or of {' or '.join(FILES)}. Received: {file}. Name one of them."
        )
    manifest = read_charades(file.parent)
    rows = manifest.rows_of(FILES[file.name])
    return manifest.classes, [(row.id, row.length_sec, row.actions) for row in rows]
