"""CRC-32C, the checksum of TFRecords, of content that comes piece by piece; and the framing with it."""

from __future__ import annotations

import google_crc32c

_ALL_ONES = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8

HEADER_BYTES = (
    12  # of a TFRecord: the length of its content uint64, the masked checksum of that uint32
)


def crc32c(data: bytes, before: int = 0) -> int:
    """Extends the checksum `before` by `data`."""
    return google_crc32c.extend(before, data)


def masked(checksum: int) -> int:
    """Returns the form of a checksum in TFRecords: rotated by 15 bits, plus a constant."""
    return ((checksum >> 15 | checksum << 17) + _MASK_DELTA) & _ALL_ONES


def packed(checksum: int) -> bytes:
    """Returns the bytes of a checksum in a TFRecord: masked, 4 bytes."""
    return masked(checksum).to_bytes(4, "little")


def record_header(length: int) -> bytes:
    """Returns the head of a TFRecord whose content has `length` bytes."""
    size = length.to_bytes(8, "little")
    return size + packed(crc32c(size))
