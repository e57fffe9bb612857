"""Encoded frames in files, as they will lie in a record: so no video's frames lie in memory together.

A record is a SequenceExample; protocol buffers put the number and the length of each field before it:

    SequenceExample  1: context             2: FeatureLists
    FeatureLists     1: an entry per stream, of 1: its key, 2: its FeatureList
    FeatureList      1: Features            each of 1: a BytesList of 1: the bytes of a frame

The bytes of a frame are as data/storage/frame_records.py weaves them.
A stream's file holds its FeatureList; a record is its head followed by the files. Decoding processes
write the files: no TensorFlow. What was written so can be gone through frame by frame.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from official_vision.data.storage.frame_records import FrameWeaver, feature_head, field_head

_BLOCK_BYTES = 1 << 18


class FrameLists(contextlib.AbstractContextManager):
    """Writes the files of one video, a stream each, into a folder; a context that closes them.

    Attributes:
      paths: of the files, by stream.
      bytes: of all files.
    """

    def __init__(self, folder: Path):
        self.paths: dict[str, Path] = {}
        self.bytes = 0
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._weavers: dict[str, FrameWeaver] = {}
        self._open = contextlib.ExitStack()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._open:
            if kind is None:
                for stream, weaver in self._weavers.items():
                    self._write(stream, weaver.end())

    def append(self, encoded: Mapping[str, bytes]) -> None:
        """Writes a frame of each stream, a JPEG or PNG; the file has it when the next comes, or the context ends.

        Raises:
          OSError: the disk is full, or no place to write.
          ValueError: no JPEG or PNG.
        """
        for stream, frame in encoded.items():
            if stream not in self._files:
                self.paths[stream] = self._folder / stream
                file = open(self.paths[stream], "wb")  # noqa: SIM115 - the context is this object
                self._files[stream] = self._open.enter_context(file)
                self._weavers[stream] = FrameWeaver()
            self._write(stream, self._weavers[stream].append(frame))

    def _write(self, stream: str, stored: bytes | None) -> None:
        if stored is not None:
            self.bytes += self._files[stream].write(feature_head(len(stored)) + stored)


def record_blocks(context: bytes, lists: Mapping[str, Path]) -> tuple[int, Iterator[bytes]]:
    """Yields a serialised SequenceExample in pieces, equal to what protobuf writes deterministically.

    Args:
      context: the serialised Features of the context.
      lists: files that FrameLists wrote, by the key of their feature list; at least one.

    Returns:
      Its length in bytes, and its content in blocks.
    """
    heads, length = {}, 0
    for key, path in sorted(lists.items()):
        size = path.stat().st_size
        entry = field_head(1, len(key)) + key.encode() + field_head(2, size)
        heads[path] = field_head(1, len(entry) + size) + entry
        length += len(heads[path]) + size
    head = field_head(1, len(context)) + context + field_head(2, length)
    return len(head) + length, _blocks(head, heads)


def read_frames(record: BinaryIO, length: int) -> Iterator[tuple[str, int, bytes]]:
    """Goes through a record as `record_blocks` gives it, and holds a frame at a time.

    Args:
      record: a file, positioned at the record's first byte.
      length: of the record in bytes.

    Yields:
      Of the context: "", the byte of the file at which it begins, its bytes. Then of each frame: the
      key of its list, the byte at which the frame begins, its bytes.

    Raises:
      ValueError: the record has another layout.
    """
    end = record.tell() + length
    size = _enter(record, 1)
    yield "", record.tell(), record.read(size)
    if record.tell() < end:
        _enter(record, 2)
    while record.tell() < end:
        _enter(record, 1)
        key = record.read(_enter(record, 1)).decode()
        size = _enter(record, 2)
        list_end = record.tell() + size
        while record.tell() < list_end:
            for _ in range(3):
                size = _enter(record, 1)
            yield key, record.tell(), record.read(size)


def _blocks(head: bytes, heads: Mapping[Path, bytes]) -> Iterator[bytes]:
    yield head
    for path, entry in heads.items():
        yield entry
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block


def _enter(record: BinaryIO, number: int) -> int:
    """Reads what `field_head` gives, and returns the size."""
    byte = record.read(1)
    if byte != bytes([number << 3 | 2]):
        raise ValueError(f"no field {number} at byte {record.tell() - 1}")
    size = shift = 0
    while True:
        (value,) = record.read(1) or b"\0"
        size |= (value & 0x7F) << shift
        if value < 0x80:
            return size
        shift += 7
