"""CRC-32C, the checksum of TFRecords, of content that comes piece by piece; and what it frames them with.

TensorFlow computes it of whole records alone. A block's bytes are divided into lanes that numpy takes
through the checksum's shift register side by side, four bytes at a step. The register is linear over
bits: lanes join by shifting a lane past the bytes of those after it, then exclusive or.
"""

from __future__ import annotations

import numpy as np

_POLYNOMIAL = np.uint32(0x82F63B78)  # Castagnoli's, its lowest power in the highest bit
_LANE_BYTES = 256
_BITS = np.arange(32, dtype=np.uint32)
_ALL_ONES = 0xFFFFFFFF
_MASK_DELTA = 0xA282EAD8

HEADER_BYTES = (
    12  # of a TFRecord: the length of its content uint64, the masked checksum of that uint32
)


def _after_steps(registers: np.ndarray, bits: int) -> np.ndarray:
    """Registers after `bits` zero bits."""
    for _ in range(bits):
        registers = np.where(registers & 1, registers >> 1 ^ _POLYNOMIAL, registers >> 1)
    return registers


# What the low and the high half of a register become after four zero bytes.
_LOW = _after_steps(np.arange(1 << 16, dtype=np.uint32), 32)
_HIGH = _after_steps(np.arange(1 << 16, dtype=np.uint32), 16)


def _shifted(registers: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Registers multiplied by a matrix of bits, whose columns are what each bit becomes."""
    held = registers[:, np.newaxis] >> _BITS & 1
    return np.bitwise_xor.reduce(held * columns, axis=1)


def _shifts() -> tuple[np.ndarray, ...]:
    """Item k: the matrix of 2 ** k zero bytes."""
    matrices = [_after_steps(np.uint32(1) << _BITS, 8)]
    for _ in range(31):
        matrices.append(_shifted(matrices[-1], matrices[-1]))
    return tuple(matrices)


_SHIFTS = _shifts()


def crc32c(data: bytes, before: int = 0) -> int:
    """The checksum of what has the checksum `before` followed by `data`, of less than 4 GiB."""
    register = np.array([before ^ _ALL_ONES], np.uint32)
    for power, matrix in enumerate(_SHIFTS):
        if len(data) >> power & 1:
            register = _shifted(register, matrix)
    return int(register[0] ^ _register(data)) ^ _ALL_ONES


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


def _register(data: bytes) -> np.uint32:
    """What the register holds after `data`, from zero; zeros before the data change nothing."""
    lanes = 1 << max(0, -(-len(data) // _LANE_BYTES) - 1).bit_length()
    padded = np.zeros(lanes * _LANE_BYTES, np.uint8)
    padded[len(padded) - len(data) :] = np.frombuffer(data, np.uint8)
    registers = np.zeros(lanes, np.uint32)
    for words in np.ascontiguousarray(padded.view("<u4").reshape(lanes, -1).T):
        registers ^= words
        registers = _LOW[registers & 0xFFFF] ^ _HIGH[registers >> 16]
    power = _LANE_BYTES.bit_length() - 1
    while len(registers) > 1:
        registers = _shifted(registers[::2], _SHIFTS[power]) ^ registers[1::2]
        power += 1
    return registers[0]
