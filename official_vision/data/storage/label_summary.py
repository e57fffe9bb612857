"""The summary of a split's labels in its index, from which a run takes settings."""

from __future__ import annotations

from collections.abc import Iterable

from official_vision.data.storage.index import Labelling


def labelling_of(videos: Iterable[tuple[str, list[tuple[int, float, float]]]]) -> Labelling:
    """Summarises the labels of a split.

    Args:
      videos: of each its id and its labels: class index, start and end in seconds, negative where they are
        the video's.
    """
    first: dict[str, str] = {}
    for video, labels in videos:
        classes = {index for index, _, _ in labels}
        throughout = {index for index, start, end in labels if start <= 0 and end < 0}
        facts = {
            "without": not classes,
            "several": len(classes) > 1,
            "timed": bool(classes - throughout),
        }
        for name in (name for name, holds in facts.items() if holds):
            first.setdefault(name, video)
    return Labelling(**first)
