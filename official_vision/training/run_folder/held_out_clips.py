"""A few clips of the validation data in a run's folder, so that an export needs no other data.

held_out_clips/ is a small prepared split: index.json and one shard, whose frames are those of the data, byte for
byte. source.json beside them records what they were cut from.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision import files, formats
from official_vision.config import Config
from official_vision.data.input.clip_span import evaluation_start
from official_vision.data.storage.damaged_segments import damage_named, report_damage
from official_vision.data.storage.index import INDEX_FILE, SHARD_SUFFIX, Index
from official_vision.data.storage.label_summary import label_summary
from official_vision.data.storage.segments import segments_of
from official_vision.data.storage.shard_writer import ShardWriter, StoredVideo
from official_vision.errors import UserError
from official_vision.specs import DataSpec

CLIPS_FOLDER = "held_out_clips"
SOURCE_FILE = "source.json"
_SHARD_FILE = f"clips{SHARD_SUFFIX}"
_MEGABYTE = 10**6


@dataclasses.dataclass(frozen=True)
class ClipSource:
    """The data that clips were cut from, and the settings by which they were.

    Attributes:
      split: its name.
      fingerprint: of the split.
      videos: of the split.
      streams: that are stored.
      frames, frame_stride: of a clip, as of DataSpec.
      clips, megabytes: as of TrainSpec.held_out_clips and held_out_megabytes.
    """

    split: str
    fingerprint: str
    videos: int
    streams: tuple[str, ...]
    frames: int
    frame_stride: int
    clips: int
    megabytes: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "streams", tuple(self.streams))


@dataclasses.dataclass(frozen=True)
class StoredClips:
    """The clips in a run's folder.

    Attributes:
      folder: of their small split.
      index: of it; a video is one clip.
      source: what they were cut from.
    """

    folder: Path
    index: Index
    source: ClipSource

    def lacks(self, count: int) -> bool:
        """Returns whether the data have more than are stored of `count` clips, each of another video."""
        return self.index.num_videos < min(count, self.source.videos)


def spread_evenly(total: int, count: int) -> list[int]:
    """Returns `count` of the numbers 0 to total - 1, evenly spread and rising; all where there are fewer."""
    return np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()


def store_clips(
    model_dir: str | os.PathLike, config: Config, index: Index, streams: Sequence[str]
) -> list[str]:
    """Writes the middle clips of some validation videos into a run's folder, unless they lie there whole.

    Args:
      model_dir: the run's folder.
      config: of the run: TrainSpec.held_out_clips videos, spread evenly over the validation data, or as many as
        fit into TrainSpec.held_out_megabytes.
      index: of the validation data.
      streams: that the network reads.

    Returns:
      A line for the user where fewer clips are stored than are set.

    Raises:
      UserError: a segment of the data can't be read, and DataSpec.damaged is fail.
    """
    train, data = config.train, config.validation_data
    folder = Path(model_dir) / CLIPS_FOLDER
    source = ClipSource(
        index.split,
        index.fingerprint,
        index.num_videos,
        tuple(streams),
        data.frames,
        data.frame_stride,
        train.held_out_clips,
        train.held_out_megabytes,
    )
    if _is_whole(folder, source):
        return []
    cutter = _Cutter(data, index, source.streams)
    with damage_named(data.path, index), tf.device("/CPU:0"):
        chosen = cutter.chosen(train.held_out_clips, train.held_out_megabytes * _MEGABYTE)
        if chosen:
            with files.folder_written_aside(folder, replace=True) as partial:
                _write(partial, cutter, chosen, source)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    wanted = min(train.held_out_clips, index.num_videos)
    if len(chosen) == wanted:
        return []
    return [
        f"note: {len(chosen)} of {wanted} held-out clips are stored in {folder}, for exports without the data: "
        f"others are damaged, or larger than TrainSpec.held_out_megabytes = {train.held_out_megabytes:g}"
    ]


def read_stored_clips(model_dir: str | os.PathLike) -> StoredClips | None:
    """Reads what a run's folder has of its validation data; None where it has nothing.

    Raises:
      UserError: a file is missing, damaged, or of another version.
    """
    folder = Path(model_dir) / CLIPS_FOLDER
    if not folder.is_dir():
        return None
    fields = {field.name: object for field in dataclasses.fields(ClipSource)}
    values = formats.HELD_OUT_CLIPS.read(folder / SOURCE_FILE, fields)
    with files.damage_reported(folder / SOURCE_FILE):
        source = ClipSource(**values)
    index = Index.from_dict(files.read_json(folder / INDEX_FILE), folder / INDEX_FILE)
    for shard in index.shards:
        path = folder / shard.file
        if not path.is_file() or files.sha256(path) != shard.sha256:
            reason = "whose content is another" if path.is_file() else "no such file"
            raise UserError(
                f"Held-out clips must be as training wrote them. Received: {path}, {reason}. Copy the run's folder "
                "again, name a prepared split by --data, or run official-vision train on the folder where its data "
                "are."
            )
    return StoredClips(folder, index, source)


def _is_whole(folder: Path, source: ClipSource) -> bool:
    try:
        stored = read_stored_clips(folder.parent)
    except UserError:  # damaged, or of another version: the data are at hand to write them anew
        return False
    return stored is not None and stored.source == source


def _write(folder: Path, cutter: _Cutter, chosen: Sequence[int], source: ClipSource) -> None:
    labels = []
    with ShardWriter(folder / _SHARD_FILE) as writer:
        for row, position in enumerate(chosen):
            clip = cutter.clip(position, row)
            labels.append((clip.id, [(number, *times) for number, _, *times in clip.labels]))
            writer.append(clip)
    index = dataclasses.replace(
        cutter.index.without_records(),
        streams=source.streams,
        shards=(writer.entry(_SHARD_FILE),),
        segment_frames=writer.segment_frames,
        videos=tuple(video for video, _ in labels),
        **label_summary(labels, len(cutter.index.classes)),
    )
    index.write(folder)
    formats.HELD_OUT_CLIPS.write(folder / SOURCE_FILE, dataclasses.asdict(source))


class _Cutter:
    """Cuts the middle clips of a split's videos, with their frames as they are stored."""

    def __init__(self, data: DataSpec, index: Index, streams: tuple[str, ...]):
        self.index = index
        self._data = data
        self._streams = streams
        self._segments = segments_of(data.path, index)

    def chosen(self, count: int, most_bytes: float) -> list[int]:
        """Returns the positions of up to `count` videos, evenly spread, whose clips together have no more bytes."""
        sizes = {
            position: size
            for position in spread_evenly(self.index.num_videos, count)
            if (size := self._size(position))
        }
        positions = list(sizes)
        for fewer in range(len(positions), 0, -1):
            chosen = [positions[number] for number in spread_evenly(len(positions), fewer)]
            if sum(sizes[position] for position in chosen) <= most_bytes:
                return chosen
        return []

    def clip(self, position: int, row: int) -> StoredVideo:
        """Returns the middle clip of the video at a position, as the video of row `row` of another split.

        Raises:
          tf.errors.OpError: a segment can't be read.
        """
        record = self._record(position)
        names = self.index.classes
        spans = zip(
            *(record[f"label_{key}"].numpy().tolist() for key in ("index", "start", "end")),
            strict=True,
        )
        pictures = zip(*(record[name].numpy() for name in self._streams), strict=True)
        return StoredVideo(
            record["id"].numpy().decode(),
            row,
            float(record["fps"]),
            [(number, names[number], start, end) for number, start, end in spans],
            float(record["flow_bound"]),
            [dict(zip(self._streams, frame, strict=True)) for frame in pictures],
            record["times"].numpy().tolist(),
        )

    def _size(self, position: int) -> int:
        """Returns the bytes of a clip's frames; 0 where a segment is damaged and may be passed over."""
        try:
            record = self._record(position)
        except tf.errors.OpError:
            if self._data.damaged == "fail":
                positions = tf.constant([position], tf.int64)
                report_damage(tf.constant([True]), positions, self._data.path, None)
            return 0
        return sum(len(frame) for name in self._streams for frame in record[name].numpy())

    def _record(self, position: int) -> Mapping[str, tf.Tensor]:
        start, count = _around_middle_clip(int(self._segments.frames[position]), self._data)
        place = tf.constant(position, tf.int64)
        return self._segments.window(place, tf.constant(start), count, self._streams)


def _around_middle_clip(length: int, data: DataSpec) -> tuple[int, int]:
    """Returns the first frame and the number of frames of which the middle clip is that of the whole video.

    A clip also reads the flow of its last step, up to frame_stride - 1 frames further; as many in front of it leave
    it in the middle. A video that has no more frames is stored whole.
    """
    margin = data.frame_stride - 1
    extent = (data.frames - 1) * data.frame_stride + 1
    if length - extent <= 2 * margin:
        return 0, length
    middle = dataclasses.replace(data, views=1)
    start = int(evaluation_start(tf.constant(length), middle, tf.constant(0)))
    return start - margin, extent + 2 * margin
