"""The result of every annotation reader: videos, their splits and their timed labels."""

from __future__ import annotations

import dataclasses

from official_vision.errors import UserError
from official_vision.names import (
    checked_folder_name,
    checked_name,
    differing_by_case,
    one_spelling,
    shown,
)


@dataclasses.dataclass(frozen=True)
class Label:
    """A class of a video, for a span or for all of it.

    Attributes:
      class_index: position in Manifest.classes.
      start_sec, end_sec: seconds from the video's start; None for the whole video.
    """

    class_index: int
    start_sec: float | None = None
    end_sec: float | None = None


@dataclasses.dataclass(frozen=True)
class VideoRow:
    """One video, or one span of a video file.

    Attributes:
      id: unique in the manifest; names the video in shards and reports.
      path: of the file, relative to the folder of videos.
      split: e.g. train or validation.
      labels: empty for an unlabelled video.
      start_sec, end_sec: the part of the file that is used; None for its start or end.
      group: videos of one group belong to one split, e.g. those of a person; empty where the data set has none.
      length_sec: of the video, where the annotation states it.
      actions: (class index, start, end) in seconds as such an annotation states them, where `labels` may be mended:
        what localisation is judged by.
    """

    id: str
    path: str
    split: str
    labels: tuple[Label, ...]
    start_sec: float | None = None
    end_sec: float | None = None
    group: str = ""
    length_sec: float | None = None
    actions: tuple[tuple[int, float, float], ...] = ()


@dataclasses.dataclass(frozen=True)
class Manifest:
    """All videos of a data set.

    Attributes:
      classes: names in the order of their indices.
      rows: the videos.
      notes: a line for each thing that the reader mended or left out, so that nothing happens silently.
      division: lines on how videos without a split were divided (data/annotations/automatic_split.py); empty where
        all had one.
    """

    classes: tuple[str, ...]
    rows: tuple[VideoRow, ...]
    notes: tuple[str, ...] = ()
    division: tuple[str, ...] = ()

    def splits(self) -> tuple[str, ...]:
        """Returns the names of the splits, sorted."""
        return tuple(sorted({row.split for row in self.rows}))

    def rows_of(self, split: str) -> tuple[VideoRow, ...]:
        """Returns the videos of one split, in the order of the annotation file."""
        return tuple(row for row in self.rows if row.split == split)


@dataclasses.dataclass(frozen=True)
class NamedRow:
    """A row as a file spells it, before class names become indices. An empty split is to be chosen.

    Attributes:
      where: file and line, for errors.
      id, path, split, start_sec, end_sec, group, length_sec: as in VideoRow.
      labels: (class name, start_sec, end_sec), seconds or None.
      actions: (class name, start, end) in seconds, of which VideoRow tells more.
    """

    where: str
    id: str
    path: str
    split: str
    labels: tuple[tuple[str, float | None, float | None], ...]
    start_sec: float | None = None
    end_sec: float | None = None
    group: str = ""
    length_sec: float | None = None
    actions: tuple[tuple[str, float, float], ...] = ()


def make_manifest(
    named: list[NamedRow],
    classes: tuple[str, ...] | None,
    source: str,
    notes: tuple[str, ...] = (),
) -> Manifest:
    """Turns class names into indices and checks rules about several rows.

    Names of classes and splits are compared in one spelling (names.one_spelling).

    Args:
      named: the rows.
      classes: names in order; None takes all that occur, sorted.
      source: the annotation file, for errors.
      notes: what the reader mended or left out.

    Raises:
      UserError: no rows, an id twice, a class that `classes` lacks, a split that is not a plain name, or
        one for some rows only; with file and line.
    """
    if not named:
        raise UserError(
            f"An annotation file must name videos. Received: {source}, which names none."
        )
    named = [_checked_row(row) for row in named]
    if classes is None:
        classes = tuple(sorted({name for row in named for name, _, _ in row.labels}))
    classes = tuple(checked_name(name, "a class", source) for name in classes)
    index_of = {name: index for index, name in enumerate(classes)}
    _check_ids(named)
    _check_splits(named)
    rows = tuple(
        VideoRow(
            row.id,
            row.path,
            row.split,
            tuple(_label(row, label, index_of) for label in row.labels),
            row.start_sec,
            row.end_sec,
            row.group,
            row.length_sec,
            tuple((index_of[name], *span) for name, *span in row.actions),
        )
        for row in named
    )
    alike = tuple(
        f"classes {first!r} and {second!r} are two, and differ in case or width alone"
        for first, second in differing_by_case(classes)
    )
    return Manifest(classes, rows, (*notes, *alike))


def _checked_row(row: NamedRow) -> NamedRow:
    """Returns the row with names in one spelling."""
    return dataclasses.replace(
        row,
        id=shown(row.id),
        split=checked_folder_name(row.split, "a split", row.where) if row.split else "",
        labels=tuple(
            (checked_name(name, "a class", row.where), *span) for name, *span in row.labels
        ),
        group=one_spelling(row.group),
        actions=tuple((one_spelling(name), *span) for name, *span in row.actions),
    )


def _check_ids(named: list[NamedRow]) -> None:
    seen: dict[str, str] = {}
    for row in named:
        if row.id in seen:
            raise UserError(
                f"{row.where}: a video's id occurs once. Received: {row.id!r}, first at {seen[row.id]}. "
                "Give each row another id."
            )
        seen[row.id] = row.where


def _check_splits(named: list[NamedRow]) -> None:
    without = next((row for row in named if not row.split), None)
    if without and any(row.split for row in named):
        raise UserError(
            f"{without.where}: either every video names its split, or none does and preparation divides them. "
            "Received: a video without one. Name its split."
        )
    for first, second in differing_by_case(row.split for row in named):
        where = next(row.where for row in named if row.split == second)
        raise UserError(
            f"{where}: splits must differ in more than case. Received: {first!r} and {second!r}. Give them one name."
        )


def checked_span(
    start: float | None, end: float | None, where: str
) -> tuple[float | None, float | None]:
    """Returns the span; raises UserError unless 0 <= start < end where they are set."""
    if (start is not None and not 0 <= start) or (end is not None and not (start or 0.0) < end):
        raise UserError(
            f"{where}: a span needs 0 <= start < end, in seconds. Received: {start} to {end}. Mend the times."
        )
    return start, end


def _label(row: NamedRow, label: tuple, index_of: dict[str, int]) -> Label:
    name, start, end = label
    if name not in index_of:
        raise UserError(
            f"{row.where}: a label must be one of the {len(index_of)} classes. Received: {name!r}. "
            "Mend the label or add it to the list of classes."
        )
    return Label(index_of[name], start, end)
