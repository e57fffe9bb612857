"""The place of each record in the shards; reads and writes single records.

A TFRecord file is a row of records, each: length uint64, checksum of the length uint32, content,
checksum of the content uint32. So a shuffle needs no buffer of records: positions are shuffled, and
each record is read from where it lies.
"""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tensorflow as tf

from official_vision.data.storage.checksum import HEADER_BYTES, crc32c, packed, record_header
from official_vision.data.storage.index import RecordFile

_LENGTH = struct.Struct("<Q")
_FRAME = HEADER_BYTES + 4  # bytes of a record beside its content
_READ_BUFFER = 1 << 16


@dataclasses.dataclass(frozen=True)
class RecordTable:
    """The places of the records of files; a record's row number is its position.

    Attributes:
      paths: of the files.
      shard: int64 [records], row of `paths`.
      offset: int64 [records], the byte at which the record begins.
    """

    paths: tuple[str, ...]
    shard: np.ndarray
    offset: np.ndarray

    def __len__(self) -> int:
        return len(self.shard)

    def place(self, position: int) -> tuple[str, int]:
        """Returns the path of a record's file, and the byte at which the record begins."""
        return self.paths[self.shard[position]], int(self.offset[position])

    def read(self, position: tf.Tensor) -> tf.Tensor:
        """Reads one serialised record.

        Args:
          position: a scalar int64.

        Returns:
          A scalar string.

        Raises:
          tf.errors.OpError: the record is damaged, or its file is gone or ends before it.
        """
        path = tf.gather(tf.constant(self.paths), tf.gather(tf.constant(self.shard), position))
        offset = tf.gather(tf.constant(self.offset), position)
        return records_from(path, offset).take(1).get_single_element()


def records_from(path: tf.Tensor, offset: tf.Tensor) -> tf.data.Dataset:
    """Yields the contents of the TFRecords of a file from a byte on; what is before it is not read.

    Args:
      path: a scalar string.
      offset: a scalar int64, where a TFRecord begins.
    """
    variant = tf.raw_ops.TFRecordDatasetV2(
        filenames=path[tf.newaxis],
        compression_type="",
        buffer_size=tf.constant(_READ_BUFFER, tf.int64),
        byte_offsets=offset[tf.newaxis],
    )
    return tf.data.experimental.from_variant(variant, tf.TensorSpec([], tf.string))


def record_table(folder: str | os.PathLike, entries: Sequence[RecordFile]) -> RecordTable:
    """Returns the table of the records of a split's shards, or of other files beside its index."""
    shard = np.repeat(np.arange(len(entries)), [len(entry.offsets) for entry in entries])
    offsets = [np.array(entry.offsets, np.int64) for entry in entries]
    paths = tuple(str(Path(folder) / entry.file) for entry in entries)
    return RecordTable(paths, shard, np.concatenate([*offsets, np.zeros(0, np.int64)]))


def append_record(file: BinaryIO, length: int, blocks: Iterable[bytes]) -> None:
    """Writes a record at the end of a shard, block by block.

    Args:
      file: the shard, open for writing.
      length: of the content in bytes.
      blocks: the content, in pieces.
    """
    file.write(record_header(length))
    checksum = crc32c(b"")
    for block in blocks:
        file.write(block)
        checksum = crc32c(block, checksum)
    file.write(packed(checksum))


def record_offsets(path: str | os.PathLike) -> tuple[int, ...]:
    """Returns the byte at which each whole record of a shard begins; contents are not read."""
    with open(path, "rb") as file:
        return tuple(offset for offset, _ in enter_records(file))


def enter_records(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Iterates over the whole records of an open file.

    Yields:
      The byte at which a record begins, and the length of its content in bytes; the file then stands
      at the content's first.
    """
    size = os.fstat(file.fileno()).st_size
    position = 0
    while (end := _record_end(file, position, size)) is not None:
        yield position, end - position - _FRAME
        position = end


def is_cut_short(path: str | os.PathLike, offset: int) -> bool:
    """Returns whether a shard ends before the record that begins at `offset` does."""
    with open(path, "rb") as file:
        return _record_end(file, offset, os.path.getsize(path)) is None


def _record_end(file: BinaryIO, position: int, size: int) -> int | None:
    """Returns the byte after a record's last, with the file at its content; None when the file ends before."""
    if position + _FRAME > size:
        return None
    file.seek(position)
    end = position + _FRAME + _LENGTH.unpack_from(file.read(HEADER_BYTES))[0]
    return end if end <= size else None
