"""MultiTHUMOS (Yeung et al., IJCV 2017): a text file per class, `video_validation_0000682 0.2 2.5` on each line.

Its training videos are THUMOS'14's validation set, as THUMOS'14 has no other untrimmed ones; it is tested on the
test set. Videos without any class are in no file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from official_vision.data.annotations.manifest import Manifest, NamedRow, make_manifest
from official_vision.data.annotations.text import check_class_count, numbered_lines, seconds
from official_vision.errors import UserError

NUM_CLASSES = 65
_LINE = re.compile(r"(?P<video>video_(?P<set>validation|test)_\d+)\s+(?P<start>\S+)\s+(?P<end>\S+)")
_SPLITS = {"validation": "train", "test": "validation"}
_NAME = re.compile(r"[A-Z]\w*")  # of a class; lists of classes beside them have other names


def read_multithumos(path: str | os.PathLike) -> Manifest:
    """Reads the folder `annotations` of the official archive; a video's path is its name with .mp4.

    A line whose end is not after its start is left out; the manifest notes each.

    Raises:
      UserError: no files of 65 classes, or a line breaks the format; with file and line.
    """
    folder = Path(path)
    files = sorted(file for file in folder.glob("*.txt") if _NAME.fullmatch(file.stem))
    check_class_count([file.stem for file in files], (NUM_CLASSES,), folder)
    labels: dict[str, list[tuple[str, float, float]]] = {}
    places: dict[str, tuple[str, str]] = {}
    notes = []
    for file in files:
        for where, line in numbered_lines(file):
            match = _LINE.fullmatch(line)
            if match is None:
                raise UserError(
                    f"{where}: a line is a video, a start and an end, e.g. 'video_test_0000004 0.2 2.5'. "
                    f"Received: {line!r}. Mend it."
                )
            start, end = (seconds(match[name], where) for name in ("start", "end"))
            if not 0 <= start < end:
                notes.append(f"{where}: {line!r} lasts no time and is left out")
                continue
            places.setdefault(match["video"], (where, _SPLITS[match["set"]]))
            labels.setdefault(match["video"], []).append((file.stem, start, end))
    rows = [
        NamedRow(where, video, f"{video}.mp4", split, tuple(dict.fromkeys(labels[video])))
        for video, (where, split) in sorted(places.items())
    ]
    return make_manifest(rows, tuple(file.stem for file in files), str(path), tuple(notes))
