"""What a network of object ids is fed: its size, the order of its axes, and the scaling of pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from official_vision.errors import UserError
from official_vision.specs import PrepareSpec


@dataclasses.dataclass(frozen=True)
class NetworkInput:
    """The input that a network's file declares.

    Attributes:
      dtype: of the input.
      channels_first: [batch, 3, height, width] instead of [batch, height, width, 3].
      height, width: in pixels; None where any is taken.
      batch: frames that it takes at once; None where any number is.
    """

    dtype: np.dtype
    channels_first: bool = False
    height: int | None = None
    width: int | None = None
    batch: int | None = 1


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a stored frame lies in a network's input.

    Attributes:
      frame: height and width of the stored frame.
      size: height and width of the input.
      corner: row and column of the input at which the frame begins.
      part: height and width of the frame in the input.
    """

    frame: tuple[int, int]
    size: tuple[int, int]
    corner: tuple[int, int]
    part: tuple[int, int]


def placed(frame: tuple[int, int], network_input: NetworkInput, spec: PrepareSpec) -> Placement:
    """Returns where a frame of (height, width) lies in the input: it fills it, or keeps its shape in the middle."""
    side = spec.object_input_size
    size = (network_input.height or side or frame[0], network_input.width or side or frame[1])
    if spec.object_fit == "stretch":
        return Placement(frame, size, (0, 0), size)
    scale = min(size[0] / frame[0], size[1] / frame[1])
    part = tuple(
        min(whole, max(1, round(length * scale))) for whole, length in zip(size, frame, strict=True)
    )
    corner = tuple((whole - length) // 2 for whole, length in zip(size, part, strict=True))
    return Placement(frame, size, corner, part)


def fed(
    frames: Sequence[np.ndarray], place: Placement, network_input: NetworkInput, spec: PrepareSpec
) -> np.ndarray:
    """Returns a network's input.

    Args:
      frames: of one size, uint8 rgb [height, width, 3].
      place: where they lie in the input.
      network_input: type and order of the axes.
      spec: scaling, order of channels, and grey of the border.

    Returns:
      [batch, height, width, 3] or [batch, 3, height, width].
    """
    pixels = np.stack([_scaled(_drawn(rgb, place, spec), network_input, spec) for rgb in frames])
    return np.ascontiguousarray(
        pixels.transpose(0, 3, 1, 2) if network_input.channels_first else pixels
    )


def check_settings(spec: PrepareSpec) -> None:
    """Checks what no single setting's rule says.

    Raises:
      UserError: mean or deviation has neither one value nor one per channel.
    """
    for name in ("object_mean", "object_deviation"):
        if len(getattr(spec, name)) not in (1, 3):
            raise UserError(
                f"PrepareSpec.{name} has one value for all channels, or three. "
                f"Received: {getattr(spec, name)!r}."
            )


def _drawn(rgb: np.ndarray, place: Placement, spec: PrepareSpec) -> np.ndarray:
    if place.part != place.frame:
        rgb = cv2.resize(rgb, place.part[::-1], interpolation=cv2.INTER_LINEAR)
    if place.part == place.size:
        return rgb
    canvas = np.full((*place.size, 3), spec.object_padding, np.uint8)
    (top, left), (height, width) = place.corner, place.part
    canvas[top : top + height, left : left + width] = rgb
    return canvas


def _scaled(rgb: np.ndarray, network_input: NetworkInput, spec: PrepareSpec) -> np.ndarray:
    if spec.object_channel_order == "bgr":
        rgb = rgb[..., ::-1]
    if network_input.dtype == np.uint8:
        return rgb
    mean, deviation = np.array(spec.object_mean), np.array(spec.object_deviation)
    return ((rgb / spec.object_scale - mean) / deviation).astype(network_input.dtype)
