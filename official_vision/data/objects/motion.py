"""Object ids from optical flow: where something moves otherwise than the camera, how fast, and up, down or sideways.

No network and no download. Left and right share their ids, because clips are mirrored in training
(`DataSpec.flip`), which moves ids but can't rename them.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np

# Least speeds of the four classes, in shares of the frame's shorter side per frame: each twice the one before,
# so that a video played at double speed has the next class.
_LEAST_SPEEDS = (1 / 400, 1 / 200, 1 / 100, 1 / 50)
_SPEED_NAMES = ("slow", "medium", "fast", "very fast")
_DIRECTION_NAMES = ("sideways", "up", "down")
_SIDEWAYS, _UP, _DOWN = range(3)
# Smaller regions are errors of the flow more often than things.
_LEAST_AREA = 1 / 500
STILL = 0
MOTION_CLASS_NAMES = (
    "still",
    *(f"{speed} {way}" for speed, way in itertools.product(_SPEED_NAMES, _DIRECTION_NAMES)),
)


def motion_ids(flow: np.ndarray) -> np.ndarray:
    """Returns the ids of one frame, positions in MOTION_CLASS_NAMES.

    The camera's motion is the median of the frame's flow, as if most of the frame were background.

    Args:
      flow: float [height, width, 2], pixels to the next frame, x right, y down.

    Returns:
      uint8 [height, width]; "still" where a pixel moves as the camera does, or lies in a region of moving pixels
      that is smaller than a five-hundredth of the frame.
    """
    relative = flow - np.median(flow, axis=(0, 1))
    x, y = relative[..., 0], relative[..., 1]
    least_speeds = np.multiply(_LEAST_SPEEDS, min(flow.shape[:2]))
    speed = np.digitize(np.hypot(x, y), least_speeds)  # 0 where still
    direction = np.where(np.abs(x) >= np.abs(y), _SIDEWAYS, np.where(y < 0, _UP, _DOWN))
    ids = 1 + len(_DIRECTION_NAMES) * (speed - 1) + direction
    return np.where(_large_regions(speed > 0), ids, STILL).astype(np.uint8)


def _large_regions(moving: np.ndarray) -> np.ndarray:
    """Returns a mask without those of its 8-connected regions that are too small."""
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(moving.astype(np.uint8))
    large = statistics[:, cv2.CC_STAT_AREA] >= _LEAST_AREA * moving.size
    large[0] = False  # what doesn't move
    return large[regions]


class MotionIds:
    """The source of one video's ids, which needs each frame's flow.

    Attributes:
      flow_method: dis, dis_fast or tvl1, by which `video_streams` computes the flow, also where no flow is wanted.
    """

    def __init__(self, flow_method: str):
        """Args:
        flow_method: as above; none takes dis.
        """
        self.flow_method = "dis" if flow_method == "none" else flow_method

    def of_flow(self, flow: np.ndarray) -> np.ndarray:
        """Returns the uint8 ids [height, width] of a frame by its flow, float [height, width, 2]."""
        return motion_ids(flow)
