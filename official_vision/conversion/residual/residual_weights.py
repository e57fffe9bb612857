"""Converts a 2-D ResNet-50 or ResNet-101 to a video network by inflation."""

from __future__ import annotations

import dataclasses

import numpy as np

from official_vision.architecture.plan import make_plan
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
from official_vision.conversion.residual.trunk import STEM, Place, Trunk, read_trunk
from official_vision.conversion.residual.weight_names import naming_of

_NETWORK = "two_stream_r2plus1d_50"
# Of values in 0..1. Keras subtracts the means of ImageNet's blue, green and red, and divides by nothing.
_TORCH_RGB = {"rgb_mean": (0.485, 0.456, 0.406), "rgb_deviation": (0.229, 0.224, 0.225)}
_KERAS_RGB = {
    "rgb_mean": tuple(round(mean / 255, 8) for mean in (123.68, 116.779, 103.939)),
    "rgb_deviation": (1 / 255,) * 3,
}
# Of ImageNet's colours, in 0..1: how far what the first convolution reads deviates, times rgb_deviation.
_IMAGENET_DEVIATION = 0.225


def convert_resnet(path: str, options: Options) -> Converted:
    """Inflates a ResNet: on a still video the rgb path computes what the 2-D network computes.

    Args:
      path: a file of tf_keras.applications (.h5, .keras), or of torchvision or timm (.safetensors).
      options: see there.

    Raises:
      UserError: a wrong or damaged file, another network, or one of which nothing fits.
    """
    tensors = read_tensors(path)
    naming = naming_of(tensors, path)
    trunk = read_trunk(tensors, naming, path)
    header = RESNET_HEADER | {"downsampling": "first" if naming.is_keras else "middle"}
    architecture = target_of(options, _NETWORK, depth_of(trunk, path), header)
    spec = with_unset(options.spec, {"gate": "none"})
    rgb = _KERAS_RGB if naming.is_keras else _TORCH_RGB
    notes = []
    if with_unset(spec, rgb) == dataclasses.replace(spec, **rgb):
        spec = dataclasses.replace(spec, **rgb)
        if naming.is_keras:
            trunk = _as_rgb(trunk)
            notes.append(
                "colours of the first kernel are turned round: the file's are blue, green, red"
            )
    else:
        notes.append(
            "ModelSpec.rgb_mean and rgb_deviation are the user's: colours are red, green, blue"
        )
    spec = with_classes(spec, options, trunk, path)
    if any(plan.fusion and len(plan.fusion.inputs) > 1 for plan in make_plan(architecture)):
        notes.append(
            "strengths of connections are a new network's: blocks with several inputs are the file's in part"
        )
    flow_scale = _IMAGENET_DEVIATION / float(np.mean(spec.rgb_deviation))
    return filled(path, options, architecture, spec, trunk, tuple(notes), flow_scale)


def _as_rgb(trunk: Trunk) -> Trunk:
    """Returns the network with the input channels of its first kernel reversed, from blue, green, red."""
    stem = Place(0, 0, STEM)
    first = trunk.convolutions[stem]
    turned = dataclasses.replace(first, kernel=first.kernel[..., ::-1, :])
    return dataclasses.replace(trunk, convolutions={**trunk.convolutions, stem: turned})
