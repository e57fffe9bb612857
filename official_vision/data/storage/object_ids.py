"""The object ids that occur in a video. No TensorFlow."""

from __future__ import annotations

import numpy as np

UNLABELLED = 255


class ObjectIds:
    """Finds one more than the greatest object id of a video's frames.

    Attributes:
      count: 0 without ids.
    """

    def __init__(self) -> None:
        self.count = 0

    def see(self, ids: np.ndarray | None) -> None:
        """Counts the ids of a frame, uint8 [height, width], of which 255 is none."""
        if ids is not None:
            known = np.where(ids == UNLABELLED, -1, ids.astype(np.int16))
            self.count = max(self.count, int(known.max()) + 1)
