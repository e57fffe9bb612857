"""Which object ids occur in a video, passed on by the process that decodes it. No TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np

UNLABELLED = 255
_FILE = "object_ids"  # beside a video's encoded streams


class ObjectIds:
    """The greatest object id of a video, passed on in a file from the process that decodes."""

    def __init__(self) -> None:
        self._count = 0

    def see(self, ids: np.ndarray | None) -> None:
        """Looks at the ids of a frame, uint8 [height, width], of which 255 is none."""
        if ids is not None:
            known = np.where(ids == UNLABELLED, -1, ids.astype(np.int16))
            self._count = max(self._count, int(known.max()) + 1)

    def write(self, folder: Path) -> None:
        """Leaves what was seen in the folder of the video's streams; nothing where there were no ids."""
        if self._count:
            (folder / _FILE).write_text(str(self._count), encoding="ascii")


def read_object_ids(folder: Path) -> int:
    """Returns one more than the greatest id of the video whose streams lie in a folder; 0 without ids."""
    path = folder / _FILE
    return int(path.read_text(encoding="ascii")) if path.is_file() else 0
