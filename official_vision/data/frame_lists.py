"""Encoded frames in files, as they will lie in a record: so no video's frames lie in memory together.

A record is a SequenceExample; protocol buffers put the number and the length of each field before it:

    SequenceExample  1: context             2: FeatureLists
    FeatureLists     1: an entry a stream   1: its key, 2: its FeatureList
    FeatureList      1: Features            each of 1: a BytesList of 1: the bytes of a frame

A stream's file holds its FeatureList; a record is its head followed by the files. Decoding processes
write the files: no TensorFlow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

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
        self._open = contextlib.ExitStack()

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def append(self, encoded: Mapping[str, bytes]) -> None:
        """Writes a frame of each stream.

        Raises:
          OSError: the disk is full, or no place to write.
        """
        for stream, frame in encoded.items():
            if stream not in self._files:
                self.paths[stream] = self._folder / stream
                file = open(self.paths[stream], "wb")  # noqa: SIM115 - the context is this object
                self._files[stream] = self._open.enter_context(file)
            self.bytes += self._files[stream].write(_feature(frame))


def record_blocks(context: bytes, lists: Mapping[str, Path]) -> tuple[int, Iterator[bytes]]:
    """A serialised SequenceExample in pieces, equal to what protobuf writes deterministically.

    Args:
      context: the serialised Features of the context.
      lists: files that FrameLists wrote, by the key of their feature list; at least one.

    Returns:
      Its length in bytes, and its content in blocks.
    """
    heads, length = {}, 0
    for key, path in sorted(lists.items()):
        size = path.stat().st_size
        entry = _field(1, len(key)) + key.encode() + _field(2, size)
        heads[path] = _field(1, len(entry) + size) + entry
        length += len(heads[path]) + size
    head = _field(1, len(context)) + context + _field(2, length)
    return len(head) + length, _blocks(head, heads)


def _blocks(head: bytes, heads: Mapping[Path, bytes]) -> Iterator[bytes]:
    yield head
    for path, entry in heads.items():
        yield entry
        with open(path, "rb") as file:
            while block := file.read(_BLOCK_BYTES):
                yield block


def _feature(frame: bytes) -> bytes:
    """A frame as an item of a FeatureList: the value of a BytesList, that of a Feature, that of the list."""
    content = frame
    for _ in range(3):
        content = _field(1, len(content)) + content
    return content


def _field(number: int, size: int) -> bytes:
    """What lies before the `size` bytes of a field: its number with the mark of bytes (2), its length."""
    head = bytearray([number << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head)
