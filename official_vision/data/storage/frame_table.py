"""The place of each frame in a shard, so that a clip is read without the rest of its video.

Beside a shard lies its table, a TFRecord file with a record for each of the shard's, in their order: a
tf.train.Example of the record's context, and of each stream

    image/encoded/offset  int64 [time], the byte of the shard at which a frame's TFRecord begins
                          (data/storage/frame_records.py)
    image/encoded/length  int64 [time], bytes of the frame that this TFRecord holds
    image/encoded/skip    int64 [1], bytes that come before them in it
    image/encoded/head    string [1], what a frame begins with, before them
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import tensorflow as tf

from official_vision import files
from official_vision.data.storage.frame_lists import read_frames
from official_vision.data.storage.frame_records import place_of
from official_vision.data.storage.index import Index, RecordFile, ShardEntry
from official_vision.data.storage.records import (
    RecordTable,
    append_record,
    enter_records,
    record_offsets,
    record_table,
    records_from,
)
from official_vision.data.storage.shard import CONTEXT_FEATURES, ENCODED_KEYS, context_values

TABLE_SUFFIX = ".frames"


def describe_shard(path: str | os.PathLike) -> ShardEntry:
    """Writes the table beside a whole shard, and returns the shard's entry in an index.

    Args:
      path: of a shard whose records data/storage/shard.py wrote.

    Raises:
      ValueError: a record has another layout.
    """
    path = Path(path)
    table = path.with_suffix(TABLE_SUFFIX)
    with (
        files.written_aside(table) as partial,
        open(path, "rb") as shard,
        open(partial, "wb") as writer,
    ):
        for _, length in enter_records(shard):
            example = _table_of(shard, length).SerializeToString(deterministic=True)
            append_record(writer, len(example), [example])
    entry = _record_file(path)
    return ShardEntry(**vars(entry), count=len(entry.offsets), frames=_record_file(table))


def _record_file(path: Path) -> RecordFile:
    return RecordFile(path.name, path.stat().st_size, files.sha256(path), record_offsets(path))


def _table_of(shard: BinaryIO, length: int) -> tf.train.Example:
    """Returns the table's record of the shard's record of `length` bytes at the file's position."""
    frames = read_frames(shard, length)
    _, _, context = next(frames)
    example = tf.train.Example(features=tf.train.Features.FromString(context))
    feature = example.features.feature
    for key, offset, stored in frames:
        place = place_of(stored)
        feature[f"{key}/offset"].int64_list.value.append(offset + place.offset)
        feature[f"{key}/length"].int64_list.value.append(place.length)
        feature[f"{key}/skip"].int64_list.value[:] = [place.skip]
        heads = feature[f"{key}/head"].bytes_list.value
        if heads and heads[0] != place.head:
            raise ValueError(f"{shard.name}: frames of {key} of unlike kinds in one record")
        heads[:] = [place.head]
    return example


@dataclasses.dataclass(frozen=True)
class FrameTable:
    """The tables of a split's shards.

    Attributes:
      tables, shards: where the records of both lie.
      streams: to read.
    """

    tables: RecordTable
    shards: RecordTable
    streams: tuple[str, ...]

    def head(self, position: tf.Tensor) -> dict[str, tf.Tensor]:
        """Reads a record without its frames.

        Args:
          position: of the record, a scalar int64.

        Returns:
          What data/storage/shard.py parses of a record's context; the path of its shard, a scalar string; and
          for each stream the offsets of its frames, int64 [time], and the table's other values of it.

        Raises:
          tf.errors.OpError: the table's record is damaged, or the table is gone.
        """
        keys = {
            (name, part): f"{ENCODED_KEYS[name]}/{part}" for name in self.streams for part in _PARTS
        }
        features = {**CONTEXT_FEATURES, **{key: _PARTS[part] for (_, part), key in keys.items()}}
        parsed = tf.io.parse_single_example(self.tables.read(position), features)
        values = {(name, part): parsed[key] for (name, part), key in keys.items()}
        return {
            **context_values(parsed),
            **{
                name if part == "offset" else f"{name}_{part}": x
                for (name, part), x in values.items()
            },
            "path": tf.gather(
                tf.constant(self.shards.paths), tf.gather(tf.constant(self.shards.shard), position)
            ),
        }

    def window(
        self, head: dict[str, tf.Tensor], start: tf.Tensor, count: int
    ) -> dict[str, tf.Tensor]:
        """Reads the frames `start` to `start + count` of every stream, fewer at the video's end.

        Args:
          head: of the record.
          start: first frame, a scalar int32.
          count: frames.

        Returns:
          The record as data/storage/shard.py parses it, as if its video had these frames alone.

        Raises:
          tf.errors.OpError: a frame is damaged, or the shard is gone or ends before it.
        """
        frames = {}
        for name in self.streams:
            contents = _read(head["path"], head[name][start : start + count])
            length = head[f"{name}_length"][start : start + count]
            skip = tf.broadcast_to(head[f"{name}_skip"], tf.shape(length))
            rest = tf.strings.substr(contents, skip, length)
            frames[name] = tf.strings.join([head[f"{name}_head"], rest])
        return {**head, **frames}


_NUMBERS = tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
_PARTS = {
    "offset": _NUMBERS,
    "length": _NUMBERS,
    "skip": tf.io.FixedLenFeature([], tf.int64),
    "head": tf.io.FixedLenFeature([], tf.string),
}


def _read(path: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Reads the contents, string [records], of the TFRecords at `offsets`, which follow one another in the file."""
    count = tf.size(offsets, tf.int64)
    contents = records_from(path, offsets[0]).take(count).batch(count).get_single_element()
    return tf.ensure_shape(contents, [None])


def frame_table(folder: str | os.PathLike, index: Index, streams: Sequence[str]) -> FrameTable:
    """Reads the tables of a split.

    Args:
      folder: of the split.
      index: of the split.
      streams: that will be read.
    """
    tables = record_table(folder, [shard.frames for shard in index.shards])
    return FrameTable(tables, record_table(folder, index.shards), tuple(streams))
