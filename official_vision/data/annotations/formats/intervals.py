"""A csv file with a row for each time that a class is there: header `video,class,start,end`.

Optional columns: length (of the video in seconds, for localisation at 25 points), split, group. A video without
any class has one row whose class, start and end are empty. Rows of a video may lie anywhere; videos keep the order of
their first rows. The classes are the names that occur, sorted, or those of a classes.txt beside the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from official_vision.data.annotations.manifest import (
    Manifest,
    NamedRow,
    checked_span,
    make_manifest,
)
from official_vision.data.annotations.text import classes_beside, csv_rows, seconds
from official_vision.errors import UserError

_NEEDED = ("video", "class", "start", "end")
_OF_VIDEO = ("length", "split", "group")  # the same in each of a video's rows

_Action = tuple[str, float, float]


def read_intervals(path: str | os.PathLike) -> Manifest:
    """Reads the csv file; a video's id is its path.

    Raises:
      UserError: names the file and the line.
    """
    places: dict[str, tuple[str, dict[str, str]]] = {}
    actions: dict[str, list[_Action]] = {}
    for where, values in csv_rows(path, _NEEDED):
        video = values["video"].strip()
        if not video:
            raise UserError(f"{where}: a row names a video. Received: none. Name its file.")
        of_video = {name: values.get(name, "").strip() for name in _OF_VIDEO}
        first, known = places.setdefault(video, (where, of_video))
        if of_video != known:
            name = next(name for name in _OF_VIDEO if of_video[name] != known[name])
            raise UserError(
                f"{where}: all rows of a video have one {name}. Received: {of_video[name]!r} of {video!r}, and "
                f"{known[name]!r} at {first}. Mend one."
            )
        actions.setdefault(video, []).extend(_action(values, where))
    rows = [_row(video, *places[video], actions[video]) for video in places]
    return make_manifest(rows, classes_beside(Path(path)), str(path))


def _action(values: Mapping[str, str], where: str) -> list[_Action]:
    name, *times = (values[key].strip() for key in ("class", "start", "end"))
    if not name and not any(times):
        return []
    if not name or not all(times):
        raise UserError(
            f"{where}: a row has a class, a start and an end, or none of them. Received: {name!r}, {times[0]!r}, "
            f"{times[1]!r}. Mend it."
        )
    start, end = checked_span(*(seconds(text, where) for text in times), where)
    return [(name, start, end)]


def _row(video: str, where: str, of_video: Mapping[str, str], actions: list[_Action]) -> NamedRow:
    length = seconds(of_video["length"], where)
    if length is not None and length <= 0:
        raise UserError(
            f"{where}: a length is a positive number of seconds. Received: {length}. Mend it."
        )
    return NamedRow(
        where,
        video,
        video,
        of_video["split"],
        tuple(dict.fromkeys(actions)),
        group=of_video["group"],
        length_sec=length,
        actions=() if length is None else tuple(actions),
    )
