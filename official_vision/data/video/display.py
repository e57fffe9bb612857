"""Frames as a player shows decoded pictures: upright, of square pixels, all of one size."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

# Beyond it a side of frames whose shorter one is resized to hundreds of pixels fills gigabytes.
_LONGEST_TO_SHORTEST = 64
# Shapes of pixels that differ by less come from rounding, and are invisible.
_LEAST_STRETCH = 0.01
_MOST_SIZES = 8  # that are named


class Orientation(NamedTuple):
    """The changes to a stored picture, in this order.

    Attributes:
      transposed: rows become columns.
      mirrored: left and right are exchanged.
      flipped: top and bottom are exchanged.
    """

    transposed: bool
    mirrored: bool
    flipped: bool


class Display:
    """Makes the frames of one video: all have the size of the first one."""

    def __init__(self, pixel_aspect: Fraction | None, short_side: int | None):
        """Args:
        pixel_aspect: width of a stored pixel over its height; None for square pixels.
        short_side: pixels of the shorter side; None keeps the size.
        """
        self._aspect = float(pixel_aspect or 1)
        self._short_side = short_side
        self._size: tuple[int, int] | None = None
        self._stored: tuple[int, int, int] | None = None
        self._turn = Orientation(False, False, False)
        # One for all frames: making its tables takes as long as their use.
        self._scaler = VideoReformatter()
        self.sizes: list[tuple[int, int]] = []  # (width, height) as shown, each once, in order

    def note_size(self, picture: VideoFrame) -> None:
        """Notes how a picture is turned, and of the size in which it is shown, before any resizing."""
        # PyAV's side data and its picture hold each other: looked at in each picture, all would stay in memory
        # until Python's collector comes.
        stored = (picture.width, picture.height, picture.rotation)
        if stored != self._stored:
            self._stored, self._turn = stored, orientation(picture)
            shown = self._shown_size(picture)
            if shown not in self.sizes and len(self.sizes) < _MOST_SIZES:
                self.sizes.append(shown)

    def _shown_size(self, picture: VideoFrame) -> tuple[int, int]:
        width, height = picture.width, picture.height
        if abs(self._aspect - 1) >= _LEAST_STRETCH:  # no pixel is lost
            width = round(width * max(self._aspect, 1))
            height = round(height / min(self._aspect, 1))
        return (height, width) if self._turn.transposed else (width, height)

    def rgb(self, picture: VideoFrame) -> np.ndarray:
        """Returns the frame, uint8 [height, width, 3]; resized by area average downwards.

        Raises:
          ValueError: one side is many times longer than the other.
        """
        self.note_size(picture)
        if self._size is None:
            check_shape(*self.sizes[0])
            self._size = self._resized(*self.sizes[0])
        turn = self._turn
        width, height = self._size[::-1] if turn.transposed else self._size
        resized = (width, height) != (picture.width, picture.height)
        # One thread: videos are prepared side by side.
        rgb = self._scaler.reformat(
            picture, width, height, "rgb24", interpolation="AREA" if resized else None, threads=1
        ).to_ndarray()
        if not any(turn):
            return rgb
        rgb = rgb.transpose(1, 0, 2) if turn.transposed else rgb
        rgb = rgb[:, ::-1] if turn.mirrored else rgb
        return np.ascontiguousarray(rgb[::-1] if turn.flipped else rgb)

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        shorter = min(width, height)
        if self._short_side is None or self._short_side == shorter:
            return width, height
        ratio = self._short_side / shorter
        return max(1, round(width * ratio)), max(1, round(height * ratio))


def check_shape(width: int, height: int) -> None:
    """Raises ValueError where one side is so much longer than the other that resized frames would be huge."""
    shorter, longer = sorted((width, height))
    if longer > _LONGEST_TO_SHORTEST * shorter:
        raise ValueError(
            f"frames of {width} x {height} pixels, one side more than {_LONGEST_TO_SHORTEST} times the other"
        )


def orientation(picture: VideoFrame) -> Orientation:
    """Returns how a picture is turned and mirrored to be shown upright, to the nearest quarter turn.

    The display matrix takes stored places (x, y) to shown ones: (a x + c y, b x + d y), y downwards.
    """
    if Type.DISPLAYMATRIX not in picture.side_data:
        return Orientation(False, False, False)
    matrix = np.frombuffer(bytes(picture.side_data[Type.DISPLAYMATRIX]), np.int32)
    a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)
