"""Ready-made object ids: a folder per video with one PNG per frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from official_vision.data.video import Frame, VideoError

_GREATEST_ID = 255


class IdImages:
    """The ids of one video, read from <folder>/*.png in the order of their names.

    A PNG belongs to each frame of the video's file, before any re-timing, and has its aspect: it is
    resized to the stored frame by the nearest pixel.
    """

    def __init__(self, folder: Path):
        """Args:
        folder: of the images: grey of 8 or 16 bits, or with a palette whose positions are the ids.

        Raises:
          VideoError: it is no folder, or has no PNG.
        """
        self._paths = sorted(folder.glob("*.png"))
        self._folder = folder
        if not self._paths:
            raise VideoError(
                f"{folder}: object ids must be a folder of PNGs, one per frame. There is none."
            )

    def __call__(self, frame: Frame) -> np.ndarray:
        """Returns the ids of a frame, uint8 [height, width].

        Raises:
          VideoError: there are fewer images than frames, or one is broken, of another aspect or has
            an id above 255.
        """
        if frame.number >= len(self._paths):
            raise VideoError(
                f"{self._folder}: there must be a PNG for each frame. "
                f"There are {len(self._paths)}; the video has a frame {frame.number + 1}."
            )
        path = self._paths[frame.number]
        ids = _read(path)
        height, width = frame.rgb.shape[:2]
        # Sides are rounded to whole pixels when frames are resized.
        if abs(ids.shape[1] * height - ids.shape[0] * width) > max(*ids.shape, height, width):
            raise VideoError(
                f"{path}: ids must have the aspect of their frame, {width} x {height}. "
                f"Received: {ids.shape[1]} x {ids.shape[0]}."
            )
        return cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)

    def check_count(self, frames: int) -> None:
        """Checks, at a video's end, that no image is left over.

        Raises:
          VideoError: there are more images than the video has frames.
        """
        if len(self._paths) > frames:
            raise VideoError(
                f"{self._folder}: there must be a PNG for each frame. "
                f"There are {len(self._paths)}; the video has {frames} frames."
            )


def _read(path: Path) -> np.ndarray:
    # Pillow keeps a palette's positions, which OpenCV would turn into colours.
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            ids = np.asarray(image)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise VideoError(f"{path}: not a readable PNG ({error}).") from error
    if ids.ndim != 2 or ids.dtype == bool:
        raise VideoError(
            f"{path}: ids must be grey or have a palette. Received: {ids.shape}, {ids.dtype}."
        )
    if ids.max(initial=0) > _GREATEST_ID:
        raise VideoError(f"{path}: ids must be at most {_GREATEST_ID}. Received: {ids.max()}.")
    return ids.astype(np.uint8)
