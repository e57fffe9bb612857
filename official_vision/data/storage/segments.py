"""Where the segments of a split's videos lie, and reading those that a clip needs.

So a shuffle needs no buffer of videos: positions are shuffled, and each clip is read from where it lies.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision.data.storage.index import Index
from official_vision.data.storage.shard import RECORD_OVERHEAD_BYTES, parse_segments

_LENGTH = struct.Struct("<Q")  # a TFRecord begins with the size of its content in bytes
_READ_BUFFER_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Segments:
    """The segments of a split; a video's place in these rows is its position.

    Attributes:
      paths: of the shards.
      shard: int64 [videos], row of `paths`.
      frames: int32 [videos], number of the video's frames.
      first: int64 [videos], row of `offsets` of the video's first segment.
      offsets: int64 [segments], the byte of its shard at which a segment begins.
      segment_frames: frames of every segment but a video's last.
    """

    paths: tuple[str, ...]
    shard: np.ndarray
    frames: np.ndarray
    first: np.ndarray
    offsets: np.ndarray
    segment_frames: int

    def __len__(self) -> int:
        return len(self.shard)

    def places(self, position: int) -> Iterator[tuple[str, int]]:
        """Yields of each segment of a video the path of its shard and the byte at which it begins."""
        first = self.first[position]
        count = -(-self.frames[position] // self.segment_frames)
        for offset in self.offsets[first : first + count]:
            yield self.paths[self.shard[position]], int(offset)

    def num_frames(self, position: tf.Tensor) -> tf.Tensor:
        """Returns the number of frames of the video at a position; scalars int64 and int32."""
        return tf.gather(tf.constant(self.frames), position)

    def window(
        self, position: tf.Tensor, start: tf.Tensor, count: int, streams: Sequence[str]
    ) -> dict[str, tf.Tensor]:
        """Reads the frames `start` to `start + count` of a video, fewer at its end.

        Args:
          position: of the video, a scalar int64.
          start: number of the first frame, a scalar int32.
          count: frames.
          streams: to read.

        Returns:
          As data/storage/shard.py parses records, of these frames alone.

        Raises:
          tf.errors.OpError: a segment is damaged or of other frames, or its shard is gone or ends before it.
        """
        length = self.num_frames(position)
        end = tf.minimum(start + count, length)
        first, last = start // self.segment_frames, (end - 1) // self.segment_frames
        path = tf.gather(tf.constant(self.paths), tf.gather(tf.constant(self.shard), position))
        row = tf.gather(tf.constant(self.first), position) + tf.cast(first, tf.int64)
        offset = tf.gather(tf.constant(self.offsets), row)
        record = parse_segments(read_records(path, offset, last - first + 1), streams)
        numbers = tf.range(first, last + 1) * self.segment_frames
        expected = tf.minimum((last + 1) * self.segment_frames, length) - numbers[0]
        sizes = tf.stack([tf.size(record[name]) for name in streams])
        alike = tf.reduce_all(record.pop("first_frame") == tf.cast(numbers, tf.int64))
        # The bare operation: tf.debugging.Assert would wrap it in a condition, and warn.
        check = tf.raw_ops.Assert(
            condition=alike & tf.reduce_all(sizes == expected),
            data=["segments must be of the frames that the index says", sizes, expected],
        )
        start, end = start - numbers[0], end - numbers[0]
        with tf.control_dependencies([check] if check is not None else []):
            frames = {name: record[name][start:end] for name in streams}
        return {**record, **frames, "times": record["times"][start : end + 1]}


def read_records(path: tf.Tensor, offset: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Reads TFRecords that follow one another in a file; what lies before them is not read.

    Args:
      path: a scalar string.
      offset: a scalar int64, the byte at which the first begins.
      count: of records, a scalar.

    Returns:
      Their contents, string [records].

    Raises:
      tf.errors.OpError: one is damaged, or the file is gone or ends before it.
    """
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=path[tf.newaxis],
        compression_type="",
        buffer_size=tf.constant(_READ_BUFFER_BYTES, tf.int64),
        byte_offsets=offset[tf.newaxis],
    )
    records = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
    count = tf.cast(count, tf.int64)
    return tf.ensure_shape(records.take(count).batch(count).get_single_element(), [None])


def is_cut_short(path: str | os.PathLike, offset: int) -> bool:
    """Whether a shard ends before the record that begins at `offset` does."""
    with open(path, "rb") as file:
        file.seek(offset)
        length = file.read(_LENGTH.size)
        size = os.fstat(file.fileno()).st_size
    if len(length) < _LENGTH.size:
        return True
    return offset + _LENGTH.unpack(length)[0] + RECORD_OVERHEAD_BYTES > size


def segments_of(folder: str | os.PathLike, index: Index) -> Segments:
    """Returns the segments of a prepared split.

    Args:
      folder: of the split.
      index: of the split.
    """
    shards = index.shards
    frames = np.array([count for shard in shards for count in shard.frames], np.int32)
    counts = -(-frames.astype(np.int64) // index.segment_frames)
    return Segments(
        paths=tuple(str(Path(folder) / shard.file) for shard in shards),
        shard=np.repeat(np.arange(len(shards)), [len(shard.frames) for shard in shards]),
        frames=frames,
        first=np.cumsum(counts) - counts,
        offsets=np.array([offset for shard in shards for offset in shard.offsets], np.int64),
        segment_frames=index.segment_frames,
    )
