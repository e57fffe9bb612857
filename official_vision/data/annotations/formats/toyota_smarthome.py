"""Toyota Smarthome (Das et al., ICCV 2019): the name of a video is its annotation.

Cook.Cleandishes_p02_r00_v02_c03.mp4: activity, person, recording, video, camera

cs    31 activities; trained on 11 persons, tested on the 7 others
cv1   19 activities; trained on camera 1, validated on 5, tested on 2
cv2   19 activities; trained on cameras 1, 3, 4, 6 and 7, validated on 5, tested on 2
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections import Counter
from pathlib import Path

from official_vision.data.annotations.manifest import Manifest, NamedRow, make_manifest
from official_vision.data.annotations.text import notes_of_others
from official_vision.data.video.video_files import content_of
from official_vision.errors import UserError

_NAME = re.compile(r"(?P<activity>\w[\w.]*?)_p(?P<person>\d+)_r\d+_v\d+_c(?P<camera>\d+)\.\w+")
_SUFFIXES = (".mp4", ".avi")
_CROSS_VIEW = (
    "Cutbread", "Drink.Frombottle", "Drink.Fromcan", "Drink.Fromcup", "Drink.Fromglass",
    "Eat.Attable", "Eat.Snack", "Enter", "Getup", "Leave", "Pour.Frombottle", "Pour.Fromcan",
    "Readbook", "Sitdown", "Takepills", "Uselaptop", "Usetablet", "Usetelephone", "Walk",
)  # fmt: skip
_ALL = tuple(
    sorted(
        (
            *_CROSS_VIEW, "Cook.Cleandishes", "Cook.Cleanup", "Cook.Cut", "Cook.Stir",
            "Cook.Usestove", "Laydown", "Makecoffee.Pourgrains", "Makecoffee.Pourwater",
            "Maketea.Boilwater", "Maketea.Insertteabag", "Pour.Fromkettle", "WatchTV",
        )
    )
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class _Protocol:
    """A protocol: the persons or cameras of each split; the others are tested, or left out."""

    activities: tuple[str, ...]
    key: str
    splits: dict[int, str]
    others: str | None


def _cameras(*training: int) -> _Protocol:
    return _Protocol(
        _CROSS_VIEW,
        "camera",
        {**dict.fromkeys(training, "train"), 5: "validation", 2: "test"},
        None,
    )


PROTOCOLS = {
    "cs": _Protocol(
        _ALL, "person", dict.fromkeys((3, 4, 6, 7, 9, 12, 13, 15, 17, 19, 25), "train"), "test"
    ),
    "cv1": _cameras(1),
    "cv2": _cameras(1, 3, 4, 6, 7),
}


def read_toyota_smarthome(path: str | os.PathLike, protocol: str) -> Manifest:
    """Reads the names of the videos in a folder; their paths are relative to it.

    Args:
      path: the folder of videos.
      protocol: cs, cv1 or cv2. Activities and cameras that it does not use are left out; the
        manifest notes how many videos each.

    Raises:
      UserError: no folder, or a video whose name is not of the form above.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(
            "Toyota Smarthome's annotation is its folder of videos, whose names are the annotation. "
            f"Received: {path}, which is no folder."
        )
    chosen, rows, unused = PROTOCOLS[protocol], [], Counter()
    content = content_of(folder)
    videos = [video for video in content.videos if video.suffix.lower() in _SUFFIXES]
    for file in videos:
        relative = file.relative_to(folder).as_posix()
        parts = _parts(file)
        split = chosen.splits.get(int(parts[chosen.key]), chosen.others)
        if parts["activity"] not in chosen.activities:
            unused[f"activity {parts['activity']}"] += 1
        elif split is None:
            unused[f"{chosen.key} {int(parts[chosen.key])}"] += 1
        else:
            label = (parts["activity"], None, None)
            group = f"{chosen.key} {int(parts[chosen.key])}"
            rows.append(NamedRow(str(file), relative, relative, split, (label,), group=group))
    notes = tuple(
        f"{count} videos of {what} are not part of protocol {protocol}"
        for what, count in sorted(unused.items())
    )
    others = {f"files that are not {' or '.join(_SUFFIXES)}": {*content.videos} - {*videos}}
    notes += notes_of_others(folder, content, others)
    return make_manifest(rows, chosen.activities, str(path), notes)


def _parts(file: Path) -> dict[str, str]:
    match = _NAME.fullmatch(file.name)
    if match is None or match["activity"] not in _ALL:
        raise UserError(
            f"{file}: a video is named <activity>_pXX_rYY_vZZ_cWW with one of {len(_ALL)} activities. "
            f"Received: {file.name!r}."
        )
    return match.groupdict()
