"""Where each record lies in the shards, and reading or writing one record by itself.

A TFRecord file is a row of records, each: length uint64, checksum of the length uint32, content,
checksum of the content uint32. So a shuffle needs no buffer of records: positions are shuffled, and
each record is read from where it lies.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tensorflow as tf

from official_vision.data.checksum import crc32c, masked
from official_vision.data.index import Index, ShardEntry

_HEADER = struct.Struct("<QI")
_FRAME = _HEADER.size + 4  # bytes of a record beside its content
_READ_BUFFER = 1 << 18


@dataclasses.dataclass(frozen=True)
class RecordTable:
    """Where the records of a split lie; a record's place in these rows is its position.

    Attributes:
      paths: of the shards.
      shard: int64 [records], row of `paths`.
      offset: int64 [records], the byte at which the record begins.
    """

    paths: tuple[str, ...]
    shard: np.ndarray
    offset: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)

    def place(self, position: int) -> tuple[str, int]:
        """The path of a record's shard, and the byte at which the record begins."""
        return self.paths[self.shard[position]], int(self.offset[position])

    def read(self, position: tf.Tensor) -> tf.Tensor:
        """Reads one serialised record.

        Args:
          position: a scalar int64.

        Returns:
          A scalar string.

        Raises:
          tf.errors.OpError: the record is damaged, or its shard is gone or ends before it.
        """
        path = tf.gather(tf.constant(self.paths), tf.gather(tf.constant(self.shard), position))
        offset = tf.gather(tf.constant(self.offset), position)
        variant = tf.raw_ops.TFRecordDatasetV2(
            filenames=path[tf.newaxis],
            compression_type="",
            buffer_size=tf.constant(_READ_BUFFER, tf.int64),
            byte_offsets=offset[tf.newaxis],
        )
        rest = tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))
        return rest.take(1).get_single_element()


def record_table(folder: str | os.PathLike, index: Index) -> RecordTable:
    """The table of a split. Offsets that an index lacks are found in its shards, 12 bytes a record."""
    paths = tuple(str(Path(folder) / entry.file) for entry in index.shards)
    offsets = [_offsets(path, entry) for path, entry in zip(paths, index.shards, strict=True)]
    shard = np.repeat(np.arange(len(paths)), [entry.count for entry in index.shards])
    return RecordTable(paths, shard, np.concatenate([*offsets, np.zeros(0, np.int64)]))


def _offsets(path: str, entry: ShardEntry) -> np.ndarray:
    offsets = entry.offsets or (record_offsets(path) if Path(path).is_file() else ())
    # Records that are not where they should be are looked for past the shard's end, and so missed.
    lacking = [entry.bytes] * (entry.count - len(offsets))
    return np.array([*offsets[: entry.count], *lacking], np.int64)


def append_record(file: BinaryIO, length: int, blocks: Iterable[bytes]) -> None:
    """Writes a record at the end of a shard, block by block.

    Args:
      file: the shard, open for writing.
      length: of the content in bytes.
      blocks: the content, in pieces.
    """
    checksum = crc32c(length.to_bytes(8, "little"))
    file.write(_HEADER.pack(length, masked(checksum)))
    checksum = crc32c(b"")
    for block in blocks:
        file.write(block)
        checksum = crc32c(block, checksum)
    file.write(masked(checksum).to_bytes(4, "little"))


def record_offsets(path: str | os.PathLike) -> tuple[int, ...]:
    """The byte at which each whole record of a shard begins; contents are not read."""
    size = os.path.getsize(path)
    offsets = []
    position = 0
    with open(path, "rb") as file:
        while (end := _record_end(file, position, size)) is not None:
            offsets.append(position)
            position = end
    return tuple(offsets)


def is_cut_short(path: str | os.PathLike, offset: int) -> bool:
    """Whether a shard ends before the record that begins at `offset` does."""
    with open(path, "rb") as file:
        return _record_end(file, offset, os.path.getsize(path)) is None


def _record_end(file: BinaryIO, position: int, size: int) -> int | None:
    """The byte after a record's last; None when the file ends before."""
    if position + _FRAME > size:
        return None
    file.seek(position)
    end = position + _FRAME + _HEADER.unpack(file.read(_HEADER.size))[0]
    return end if end <= size else None
