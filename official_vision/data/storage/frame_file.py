"""A video's encoded frames in a file, from the process that decodes them to the one that writes shards.

One appends frames, the other iterates over them, so that a video's frames never lie in memory together. Each
frame is the size in bytes of each stream, uint32, 0 for one that is not stored, followed by their bytes. No
TensorFlow: decoding processes start quickly.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

_STREAMS = ("rgb", "flow", "objects")
_SIZES = struct.Struct(f"<{len(_STREAMS)}I")


def append_frame(file: BinaryIO, encoded: Mapping[str, bytes]) -> None:
    """Writes one frame of every stream that is present.

    Args:
      file: open for writing.
      encoded: for each stream of rgb, flow and objects that is stored, a JPEG or PNG.
    """
    parts = [encoded.get(stream, b"") for stream in _STREAMS]
    file.write(b"".join([_SIZES.pack(*map(len, parts)), *parts]))


def read_frames(path: Path) -> Iterator[dict[str, bytes]]:
    """Yields the frames of a file as `append_frame` took them."""
    with open(path, "rb") as file:
        while sizes := file.read(_SIZES.size):
            yield {
                stream: file.read(size)
                for stream, size in zip(_STREAMS, _SIZES.unpack(sizes), strict=True)
                if size
            }
