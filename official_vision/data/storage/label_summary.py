"""The summary of a split's labels in its index, from which a run takes settings."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from official_vision.data.storage.index import Labelling

Labels = list[tuple[int, float, float]]


def label_summary(videos: Sequence[tuple[str, Labels]], num_classes: int) -> dict[str, Any]:
    """Summarises the labels of a split, as the fields of its index of these names.

    Args:
      videos: in the index's order, of each its id and its labels: class index, start and end in seconds, negative
        where they are the video's.
      num_classes: of the data.

    Returns:
      labelling, video_classes and class_counts of an `Index`.
    """
    classes = [tuple(sorted({index for index, _, _ in labels})) for _, labels in videos]
    counts = Counter(itertools.chain.from_iterable(classes))
    return {
        "labelling": _labelling_of(videos),
        "video_classes": tuple(classes),
        "class_counts": tuple(counts[index] for index in range(num_classes)),
    }


def _labelling_of(videos: Sequence[tuple[str, Labels]]) -> Labelling:
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
