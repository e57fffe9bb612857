"""CRC-32C, the checksum of TFRecords, of content that comes piece by piece; and what it frames them with."""

from __future__ import annotations

import google_crc32c

_ALL_ONES = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8

HEADER_BYTES = (
    12  # of a TFRecord: the length of its content uint64, the masked checksum of that uint32
)


def crc32c(data: bytes, before: int = 0) -> int:
    """The checksum of what has the checksum `before` followed by `data`."""
    return google_crc32c.extend(before, data)


def masked(checksum: int) -> int:
    """The form in which TFRecords hold a checksum: rotated by 15 bits, plus a constant."""
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & _ALL_ONES


def packed(checksum: int) -> bytes:
    """A checksum as a TFRecord holds it: masked, 4 bytes."""
    return masked(checksum).to_bytes(4, "little")


def record_header(length: int) -> bytes:
    """What a TFRecord begins with whose content has `length` bytes."""
    size = length.to_bytes(8, "little")
    return size + packed(crc32c(size))
