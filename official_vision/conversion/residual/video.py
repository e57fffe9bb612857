"""Converts a 3-D residual network of PySlowFast or torchvision to one of this package, where shapes agree."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from official_vision.conversion.converted import Converted, Options
from official_vision.conversion.residual.fill import filled
from official_vision.conversion.residual.readers import read_tensors
from official_vision.conversion.residual.target import (
    RESNET_HEADER,
    depth_of,
    target_of,
    with_classes,
    with_unset,
)
from official_vision.conversion.residual.trunk import Naming, read_trunk
from official_vision.conversion.residual.video_names import R2PLUS1D, SLOWFAST
from official_vision.errors import UserError

# torchvision's video networks are trained on Kinetics with these; PySlowFast's are this package's defaults.
_TORCH_RGB = {
    "rgb_mean": (0.43216, 0.394666, 0.37645),
    "rgb_deviation": (0.22803, 0.22145, 0.216989),
}
_NOTE = (
    "a part of the file's network alone: the value of its features here is known only after training; strengths and "
    "connections between streams are a new network's"
)


def convert_slowfast(path: str, options: Options) -> Converted:
    """Takes the tensors that fit from a SlowFast or Slow network; each block reads the pathway that agrees most.

    Args:
      path: a .safetensors file with PySlowFast's names.
      options: see there; the network is slowfast_50 unless they name another.

    Raises:
      UserError: a wrong or damaged file, or one of which nothing fits.
    """
    return _convert(path, options, read_tensors(path), SLOWFAST, "slowfast_50", {})


def convert_r2plus1d(path: str, options: Options) -> Converted:
    """Takes the tensors that fit from an R(2+1)D network of bottlenecks.

    Args:
      path: a .safetensors file with torchvision's names.
      options: see there; the network is two_stream_r2plus1d_50 unless they name another.

    Raises:
      UserError: a wrong or damaged file, R(2+1)D-18, or one of which nothing fits.
    """
    tensors = read_tensors(path)
    if any("layer1.0.conv2.0.0." in name for name in tensors) and not any(
        "layer1.0.conv3." in name for name in tensors
    ):
        raise UserError(
            "Modules must have three convolutions, as those here. "
            f"Received: {path}, whose modules have two, as R(2+1)D-18's. Name another file."
        )
    return _convert(path, options, tensors, R2PLUS1D, "two_stream_r2plus1d_50", _TORCH_RGB)


def _convert(
    path: str,
    options: Options,
    tensors: Mapping[str, np.ndarray],
    naming: Naming,
    usual: str,
    rgb: Mapping[str, tuple[float, ...]],
) -> Converted:
    trunk = read_trunk(tensors, naming, path)
    architecture = target_of(options, usual, depth_of(trunk, path), dict(RESNET_HEADER))
    spec = with_unset(options.spec, {"gate": "none", **rgb})
    spec = with_classes(spec, options, trunk, path)
    return filled(path, options, architecture, spec, trunk, (_NOTE,))
