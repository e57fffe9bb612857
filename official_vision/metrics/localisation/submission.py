"""A submission to Charades' localisation: lines `id frame score_1 ... score_157`, one per point (numpy only)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from official_vision import files
from official_vision.errors import UserError
from official_vision.metrics.charades_map import CLASSES, check_submission
from official_vision.metrics.localisation.points import POINTS


def write_localisation(
    path: str | os.PathLike, scores: Mapping[str, np.ndarray], class_names: Sequence[str]
) -> None:
    """Writes a line per point of each video; frames count from 1.

    Args:
      path: of the file.
      scores: [25, 157] by the video's id, as in Charades_v1_test.csv, in the order of Charades_v1_classes.txt.
      class_names: of the columns.

    Raises:
      UserError: another number of classes, or an id with a space.
    """
    check_submission(list(scores), class_names)
    with files.written_aside(path) as partial, open(partial, "w", encoding="utf-8") as file:
        for video, points in scores.items():
            for number, row in enumerate(points, start=1):
                file.write(f"{video} {number} {' '.join(f'{score:.9g}' for score in row)}\n")


def read_localisation(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a submission as the official script does.

    Frames that count from 0 are moved by one. A point that no line names has scores of -inf.

    Returns:
      float64 [25, 157] by the video's id.

    Raises:
      UserError: the file is missing, or a line is not of this form or names a point again; with file and line.
    """
    lines = list(_lines(path))
    if not lines:
        raise UserError(f"A submission has a line per point. Received: {path}, which is empty.")
    first = 0 if min(number for _, _, number, _ in lines) == 0 else 1
    scores: dict[str, np.ndarray] = {}
    seen: set[tuple[str, int]] = set()
    for where, video, number, row in lines:
        place = number - first
        if not 0 <= place < POINTS:
            raise UserError(
                f"{where}: frames count from 1 to {POINTS}, or from 0. Received: {number}. Mend the file."
            )
        if (video, place) in seen:
            raise UserError(
                f"{where}: a frame of a video is named once. Received: {video} {number} again. Remove a line."
            )
        seen.add((video, place))
        points = scores.setdefault(video, np.full((POINTS, CLASSES), -np.inf))
        points[place] = row
    return scores


def _lines(path: str | os.PathLike) -> Iterator[tuple[str, str, int, np.ndarray]]:
    """Yields ("file:line", id, frame as written, scores) of every line that is not blank."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            for count, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}:{count}", *_parsed(line, f"{path}:{count}")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"A submission must be a text file. Received: {path} ({reason}). Check the path."
        ) from error


def _parsed(line: str, where: str) -> tuple[str, int, np.ndarray]:
    words = line.replace(",", " ").split()
    try:
        video, number, row = words[0], int(words[1]), np.array(words[2:], np.float64)
    except (IndexError, ValueError):
        row = np.zeros(0)
    if row.shape != (CLASSES,) or np.isnan(row).any():
        raise UserError(
            f"{where}: a line is an id, a frame's number and {CLASSES} scores. Received: {line.strip()[:60]!r}"
            f"{f', {len(row)} scores' if len(row) else ''}. Mend the file."
        )
    return video, number, row
