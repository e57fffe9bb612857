"""Times of labels in the part of a file that is stored."""

from __future__ import annotations

import math
from collections.abc import Iterable

from official_vision.data.annotations.manifest import Label, VideoRow
from official_vision.data.audit.late_labels import TOLERANCE_SEC
from official_vision.data.storage.shard import WHOLE_VIDEO

_Stored = tuple[int, float, float]


def stored_labels(row: VideoRow, duration_sec: float) -> list[_Stored]:
    """Returns the labels of a video's stored part: class index, start and end as StoredVideo has them.

    A class whose times leave out less than a tenth of a second applies throughout: it gets no times.

    Args:
      row: the video, with times in seconds from the start of its file.
      duration_sec: of the stored part.
    """
    timed = [
        (label.class_index, *_times_in_span(label, row))
        for label in row.labels
        if _touches_span(label, row)
    ]
    throughout = {
        index
        for index in {index for index, _, _ in timed}
        if _covers([(start, end) for i, start, end in timed if i == index], duration_sec)
    }
    whole = {index: (index, WHOLE_VIDEO, WHOLE_VIDEO) for index in throughout}
    return list(dict.fromkeys(whole.get(label[0], label) for label in timed))


def _covers(spans: Iterable[tuple[float, float]], duration_sec: float) -> bool:
    """Returns whether spans, of which negative ends are the video's, leave out no time that counts."""
    reached = 0.0
    for start, end in sorted(spans):
        if start > reached + TOLERANCE_SEC:
            return False
        reached = max(reached, math.inf if end < 0 else end)
    return reached >= duration_sec - TOLERANCE_SEC


def _touches_span(label: Label, row: VideoRow) -> bool:
    """Returns whether a label applies anywhere in the part of the file that is stored."""
    ended = label.end_sec is not None and label.end_sec <= (row.start_sec or 0.0)
    return not ended and (label.start_sec or 0.0) < (row.end_sec or math.inf)


def _times_in_span(label: Label, row: VideoRow) -> tuple[float, float]:
    """Returns the start and end in seconds from the start of the stored part."""
    times = (label.start_sec, label.end_sec)
    start, end = (WHOLE_VIDEO if t is None else max(0.0, t - (row.start_sec or 0.0)) for t in times)
    return start, end
