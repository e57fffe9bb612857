"""Frames that can be read out of a record by themselves: each is a TFRecord within the record.

The one operation of TensorFlow that reads a part of a file reads TFRecords from some byte on, one after
the other. So a TFRecord's framing is woven into the stored frames of a stream, in a segment that every
decoder passes over: a comment of a JPEG, a private chunk of a PNG.

    head | opening, checksum of the TFRecord before, header of this one, closing | rest | tail

The frame as it was is head and rest. This TFRecord's content begins with `closing` and ends with the
`opening` of the next frame: what follows is its checksum. The last frame's is the tail, zeros in others.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from official_vision.data.storage.checksum import HEADER_BYTES, crc32c, packed, record_header

_CHECKSUM_BYTES = 4
_WOVEN_BYTES = _CHECKSUM_BYTES + HEADER_BYTES
_TAIL = bytes(_CHECKSUM_BYTES)

_JPEG = b"\xff\xd8"
_JFIF = b"\xff\xe0"  # then its length, uint16, counted from the length on
_COMMENT = b"\xff\xfe" + (2 + _WOVEN_BYTES).to_bytes(2, "big")
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD_BYTES = 33  # signature and IHDR, which must be the first chunk
_CHUNK_TYPE = b"frAM"  # the case of the letters: ancillary, private, not to be copied by editors
_CHUNK = _WOVEN_BYTES.to_bytes(4, "big") + _CHUNK_TYPE


class _Form(NamedTuple):
    """The place of the framing in frames of a format: after `head_bytes`; `closing_bytes` follow it."""

    head_bytes: int
    opening: bytes
    closing_bytes: int


def _form_of(frame: bytes) -> _Form:
    if frame.startswith(_JPEG + _JFIF):  # a segment that must come first
        return _Form(len(_JPEG + _JFIF) + int.from_bytes(frame[4:6], "big"), _COMMENT, 0)
    if frame.startswith(_JPEG):
        return _Form(len(_JPEG), _COMMENT, 0)
    if frame.startswith(_PNG):
        return _Form(_PNG_HEAD_BYTES, _CHUNK, 4)
    raise ValueError(f"neither a JPEG nor a PNG: {frame[:8]!r}")


class FrameWeaver:
    """Weaves the frames of one stream; a frame can be stored when the next one, or none, is known."""

    def __init__(self) -> None:
        self._previous: bytes | None = None
        self._checksum = bytes(_CHECKSUM_BYTES)

    def append(self, frame: bytes) -> bytes | None:
        """Takes a frame, and returns the one before it as it is to be stored; None for the first.

        Args:
          frame: a JPEG or a PNG.

        Raises:
          ValueError: neither.
        """
        before, self._previous = self._previous, frame
        if before is None:
            return None
        form = _form_of(frame)
        stored_bytes = (
            len(frame) + len(form.opening) + _WOVEN_BYTES + form.closing_bytes + len(_TAIL)
        )
        return self._woven(
            before, feature_head(stored_bytes) + frame[: form.head_bytes] + form.opening
        )

    def end(self) -> bytes | None:
        """Returns the last frame as it is to be stored; None when there was no frame."""
        if self._previous is None:
            return None
        stored = self._woven(self._previous, None)
        return stored[: -len(_TAIL)] + self._checksum

    def _woven(self, frame: bytes, gap: bytes | None) -> bytes:
        """Returns the stored form of a frame; `gap` is the content of the file between it and the next framing."""
        form = _form_of(frame)
        head, rest = frame[: form.head_bytes], frame[form.head_bytes :]
        after = b"" if gap is None else _TAIL + gap
        length = form.closing_bytes + len(rest) + len(after)
        framing = self._checksum + record_header(length)
        closing = zlib.crc32(_CHUNK_TYPE + framing).to_bytes(4, "big")[: form.closing_bytes]
        self._checksum = packed(crc32c(closing + rest + after))
        return head + form.opening + framing + closing + rest + _TAIL


class Place(NamedTuple):
    """The place of a stored frame's TFRecord, and the part of its content that is the frame's.

    Attributes:
      head: what the frame begins with, before the content.
      offset: byte of the stored frame at which the TFRecord begins.
      skip: bytes of the content that come before the rest of the frame.
      length: of the rest.
    """

    head: bytes
    offset: int
    skip: int
    length: int


def place_of(stored: bytes) -> Place:
    """Looks at a frame as `FrameWeaver` stores it.

    Raises:
      ValueError: it is no such frame.
    """
    form = _form_of(stored)
    begin = form.head_bytes + len(form.opening)
    if stored[form.head_bytes : begin] != form.opening:
        raise ValueError("a frame without the framing of a TFRecord")
    before = begin + _WOVEN_BYTES + form.closing_bytes
    length = len(stored) - before - len(_TAIL)
    return Place(stored[: form.head_bytes], begin + _CHECKSUM_BYTES, form.closing_bytes, length)


def feature_head(size: int) -> bytes:
    """Returns the bytes before the `size` bytes of a frame in a FeatureList: it is the value of a BytesList,
    that of a Feature, that of the list.
    """
    heads = b""
    for _ in range(3):
        heads = field_head(1, size + len(heads)) + heads
    return heads


def field_head(number: int, size: int) -> bytes:
    """Returns the bytes before the `size` bytes of a field: its number with the mark of bytes (2), its length."""
    head = bytearray([number << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head)
