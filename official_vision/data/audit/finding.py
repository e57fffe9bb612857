"""One finding of an audit."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

# Kind of finding -> what it means, in the order of the report.
KINDS = {
    "missing": "videos that are not there",
    "undecodable": "videos that cannot be decoded",
    "unlabelled": "videos without a label",
    "class_without_videos": "classes that no video of a split shows",
    "leakage": "splits that share a video or a group",
    "labels_past_end": "labels and parts that end after their video",
    "several_streams": "videos with more than one stream of pictures, of which one is used",
    "variable_rate": "videos whose frames do not come at a constant rate",
    "time_jumps": "videos whose clock jumps or begins anew",
    "changing_size": "videos whose frames change their size",
    "damaged_frames": "videos that are damaged in places",
    "broken_packets": "videos with packets that cannot be decoded",
    "frame_count": "videos whose counts of frames differ",
    "left_out": "videos that preparation left out",
    "shards": "shards that do not fit",
    "mended": "annotations that were mended or left aside",
}
# Wraps an iterable of known length to show how far it is: (iterable, length, what it is) -> iterable.
Progress = Callable[[Iterable, int, str], Iterable]


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something to look at: its kind (of KINDS), the video or split, and the detail."""

    kind: str
    about: str
    detail: str
