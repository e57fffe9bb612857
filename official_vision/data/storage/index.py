"""The index beside the shards of one split: their content and their preparation."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from official_vision import files, formats
from official_vision.errors import UserError

INDEX_FILE = "index.json"
SHARD_SUFFIX = ".tfrecord"


@dataclasses.dataclass(frozen=True)
class ShardEntry:
    """One shard, and where the segments of its videos lie (data/storage/segments.py).

    Attributes:
      file: its name.
      bytes: its size.
      sha256: of its content.
      offsets: the byte at which each segment begins.
      frames: of each video.
    """

    file: str
    bytes: int
    sha256: str
    offsets: tuple[int, ...]
    frames: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "offsets", tuple(self.offsets))
        object.__setattr__(self, "frames", tuple(self.frames))

    @property
    def count(self) -> int:
        """Returns the number of videos in the shard."""
        return len(self.frames)

    def size_in(self, folder: str | os.PathLike) -> int | None:
        """Returns the bytes that the file has in a folder now, which should be `bytes`; None where there is none."""
        path = Path(folder) / self.file
        return path.stat().st_size if path.is_file() else None


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A video that could not be prepared, and why."""

    id: str
    path: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Labelling:
    """The labelling of videos, each fact by the first video that shows it; None where no video does.

    Attributes:
      without: a video that has no label.
      several: a video that has labels of two classes.
      timed: a video with a class in only a part of it.
    """

    without: str | None = None
    several: str | None = None
    timed: str | None = None


@dataclasses.dataclass(frozen=True)
class VideoNote:
    """A note on a video that was prepared: its kind (of finding.KINDS), and the text."""

    id: str
    path: str
    kind: str
    note: str


@dataclasses.dataclass(frozen=True)
class StatedTimes:
    """A video's length and actions, in seconds, as its annotation states them.

    Attributes:
      id: of the video.
      length_sec: of the video; its frames may last longer or less long.
      actions: (class index, start, end), an end before the start or past the length included.
    """

    id: str
    length_sec: float
    actions: tuple[tuple[int, float, float], ...]


@dataclasses.dataclass(frozen=True)
class Index:
    """The information that a reader of the shards needs.

    Attributes:
      split: its name.
      classes: names in the order of the label indices.
      streams: rgb, flow, objects: those that are stored.
      shards: the files, in order.
      segment_frames: frames of every segment but a video's last.
      videos: ids in the order in which they lie in the shards.
      flow_method, flow_bound: the flow's method, and its greatest stored displacement in pixels.
      object_classes: names of the object ids.
      settings: of preparation.
      versions: of the libraries that decoded and detected.
      left_out: videos that are not in the shards.
      labelling: of the videos that are.
      video_classes: of each of `videos`, the indices of its classes, in rising order.
      class_counts: videos of each class.
      stored_object_ids: one more than the greatest id of the object stream; 0 without objects.
      notes: what to know of videos that are.
      stated_times: of all videos of the split in the annotation's order, those left out too, where the annotation
        states lengths.
    """

    split: str
    classes: tuple[str, ...]
    streams: tuple[str, ...]
    shards: tuple[ShardEntry, ...]
    segment_frames: int
    videos: tuple[str, ...]
    flow_method: str
    flow_bound: float
    object_classes: tuple[str, ...]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    left_out: tuple[LeftOut, ...] = ()
    labelling: Labelling = Labelling()
    video_classes: tuple[tuple[int, ...], ...] = ()
    class_counts: tuple[int, ...] = ()
    stored_object_ids: int = 0
    notes: tuple[VideoNote, ...] = ()
    stated_times: tuple[StatedTimes, ...] = ()

    @property
    def num_videos(self) -> int:
        """Returns the number of videos in all shards."""
        return sum(shard.count for shard in self.shards)

    @property
    def num_object_ids(self) -> int:
        """Returns the number of ids of the object stream: of named ids and of those that occur."""
        return max(len(self.object_classes), self.stored_object_ids)

    @property
    def fingerprint(self) -> str:
        """Returns the SHA-256 over the classes and the shards' checksums: equal data, equal fingerprint."""
        content = json.dumps([list(self.classes), [shard.sha256 for shard in self.shards]])
        return hashlib.sha256(content.encode()).hexdigest()

    def write(self, folder: str | os.PathLike) -> None:
        """Writes index.json into the split's folder."""
        files.write_json(Path(folder) / INDEX_FILE, self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Returns the index as JSON values."""
        values = dataclasses.asdict(self)
        # In lists: a data set has tens of thousands of actions.
        stated = [[row.id, row.length_sec, row.actions] for row in self.stated_times]
        return {**formats.SHARDS.header, **values, "stated_times": stated}

    def without_records(self) -> Index:
        """Returns the index without its lists of videos."""
        return dataclasses.replace(
            self,
            shards=(),
            videos=(),
            video_classes=(),
            left_out=(),
            notes=(),
            stated_times=(),
        )

    @classmethod
    def read(cls, folder: str | os.PathLike, *, damaged_is_fatal: bool = True) -> Index:
        """Reads the index of a prepared split.

        Args:
          folder: of the split.
          damaged_is_fatal: refuse a split whose shards are not those of the index.

        Raises:
          UserError: the folder is no prepared split; or a shard is missing, has another size than when it
            was written, or is not in the index.
        """
        path = Path(folder) / INDEX_FILE
        if not path.is_file():
            raise UserError(
                f"A prepared split has {INDEX_FILE}, written by official-vision prepare when it has finished. "
                f"Received: {str(folder)!r}{_place_of(folder)}, which has none. {_splits_in(folder)}"
            )
        index = cls.from_dict(files.read_json(path), path)
        if damaged_is_fatal:
            for shard in index.shards:
                _check_file(Path(folder), shard)
            _check_no_other_shards(Path(folder), index)
        return index

    @classmethod
    def from_dict(cls, values: Any, path: Path) -> Index:
        """Reads what `to_dict` returned.

        Args:
          values: of JSON.
          path: where they come from, for errors.

        Raises:
          UserError: they are no index, or one of another version.
        """
        values = formats.SHARDS.check(values, path)
        with files.damage_reported(path):
            values["shards"] = tuple(ShardEntry(**entry) for entry in values["shards"])
            for shard in values["shards"]:
                _check_beside(path, shard)
            values["left_out"] = tuple(LeftOut(**entry) for entry in values["left_out"])
            values["labelling"] = Labelling(**values["labelling"])
            values["notes"] = tuple(VideoNote(**entry) for entry in values["notes"])
            values["stated_times"] = tuple(
                StatedTimes(video, length, tuple(map(tuple, actions)))
                for video, length, actions in values["stated_times"]
            )
            for name in ("classes", "class_counts", "streams", "videos", "object_classes"):
                values[name] = tuple(values[name])
            values["video_classes"] = tuple(map(tuple, values["video_classes"]))
            return cls(**values)


def _place_of(folder: str | os.PathLike) -> str:
    """Describes where a relative path led."""
    return "" if os.path.isabs(folder) else f", which is {os.path.abspath(folder)} from here"


def _check_beside(path: Path, shard: ShardEntry) -> None:
    """Refuses an index that names files of other folders."""
    if shard.file != Path(shard.file).name:
        raise UserError(
            f"An index must name files beside it. Received: {path}, which names {shard.file!r}. "
            "Prepare the data again."
        )


def _splits_in(folder: str | os.PathLike) -> str:
    splits = sorted(str(path.parent) for path in Path(folder).glob(f"*/{INDEX_FILE}"))
    return f"Splits there: {', '.join(splits)}." if splits else "Prepare the data first."


def _check_file(folder: Path, entry: ShardEntry) -> None:
    size = entry.size_in(folder)
    if size != entry.bytes:
        received = "no such file" if size is None else f"{size} bytes"
        raise UserError(
            f"A shard must be of {entry.bytes} bytes, as in its index. "
            f"Received: {folder / entry.file}, {received}. "
            "Copy it again, or delete it and run official-vision prepare."
        )


def _check_no_other_shards(folder: Path, index: Index) -> None:
    known = {shard.file for shard in index.shards}
    # A shard of which no video could be prepared is an empty file, and in no index.
    others = sorted(
        path.name
        for path in folder.glob(f"*{SHARD_SUFFIX}")
        if path.name not in known and not path.name.startswith(".") and path.stat().st_size
    )
    if others:
        raise UserError(
            f"An index must name every shard beside it. Received: {folder / INDEX_FILE}, which lacks "
            f"{', '.join(others)}. Delete them, or run official-vision prepare to its end."
        )
