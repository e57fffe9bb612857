"""Compares a video file's length with that in its container, which shows where a file was cut.

Decoders forgive a missing end. Matroska and AVI name the length of all that follows in their first
bytes, and an MP4 is a chain of boxes each of which names its length.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_EBML_MAGIC = b"\x1a\x45\xdf\xa3"
_MATROSKA_SEGMENT = b"\x18\x53\x80\x67"
_MP4_FIRST_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"))
_MP4_BOXES = _MP4_FIRST_BOXES | {
    b"moof",
    b"mfra",
    b"sidx",
    b"ssix",
    b"styp",
    b"uuid",
    b"meta",
    b"udta",
}
# What writers that can't go back leave where a RIFF file's length belongs.
_RIFF_UNKNOWN = (0, 0xFFFFFFFF)


def missing_bytes(path: str | os.PathLike) -> int | None:
    """Returns the number of bytes that a file lacks against its container.

    Args:
      path: a Matroska, WebM, AVI, MP4 or MOV file.

    Returns:
      0 for a whole file; None for one whose container names no length: other formats, and streams that
      were recorded without knowing their end.
    """
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        start = file.read(12)
        if start[:4] == _EBML_MAGIC:
            end = _end_of_matroska(file)
        elif start[:4] == b"RIFF":
            length = int.from_bytes(start[4:8], "little")
            end = None if length in _RIFF_UNKNOWN else 8 + length
        elif start[4:8] in _MP4_FIRST_BOXES:
            end = _end_of_mp4(file, size)
        else:
            end = None
    return None if end is None else max(0, end - size)


def was_streamed(path: str | os.PathLike) -> bool:
    """Returns whether an AVI file was written without seeking back: the lengths in its header are meaningless."""
    with open(path, "rb") as file:
        start = file.read(8)
    return start[:4] == b"RIFF" and int.from_bytes(start[4:8], "little") in _RIFF_UNKNOWN


def _end_of_matroska(file: BinaryIO) -> int | None:
    """Returns the end of the segment, after the header: RFC 8794 sections 4 to 6; None where it isn't known."""
    file.seek(len(_EBML_MAGIC))
    header = _variable_integer(file)
    if header is None:
        return None
    file.seek(header, os.SEEK_CUR)
    if file.read(4) != _MATROSKA_SEGMENT:
        return None
    length = _variable_integer(file)
    return None if length is None else file.tell() + length


def _variable_integer(file: BinaryIO) -> int | None:
    """Reads an EBML integer: leading zeros count its bytes. None where all its bits are 1: unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    further = 8 - first[0].bit_length()
    bits = 7 * (further + 1)
    value = int.from_bytes(first + file.read(further), "big") & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value


def _end_of_mp4(file: BinaryIO, size: int) -> int | None:
    """Returns the end of the last box that begins in the file: ISO/IEC 14496-12, section 4.2."""
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:  # the length follows the box's name, in 8 bytes
            length = int.from_bytes(header[8:16], "big")
        if length == 0 and header[4:8] in _MP4_BOXES:
            return None  # "up to the file's end"
        if length < 8 or header[4:8] not in _MP4_BOXES:
            return (
                end if header.strip(b"\0") else None
            )  # something that others put behind the video
        end += length
    return end
