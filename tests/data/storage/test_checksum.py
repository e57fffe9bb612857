"""CRC-32C: published values, TensorFlow's files, and content in pieces."""

import struct

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.data.storage.checksum import crc32c, masked


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        # RFC 3720, B.4.
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_published_values(data, expected):
    assert crc32c(data) == expected


@pytest.mark.parametrize("length", [1, 3, 255, 256, 257, 512, 100_003])
def test_what_tensorflow_writes(tmp_path, length):
    data = np.random.default_rng(length).bytes(length)
    with tf.io.TFRecordWriter(str(tmp_path / "shard")) as writer:
        writer.write(data)
    assert struct.unpack("<I", (tmp_path / "shard").read_bytes()[-4:]) == (masked(crc32c(data)),)


@given(st.lists(st.binary(max_size=600), max_size=5))
def test_pieces_give_what_the_whole_gives(pieces):
    checksum = 0
    for piece in pieces:
        checksum = crc32c(piece, checksum)
    assert checksum == crc32c(b"".join(pieces))
