"""The names that frameworks give to the tensors of 2-D ResNets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from official_vision.conversion.residual.trunk import (
    CLASSIFIER,
    FIRST,
    LAST,
    MIDDLE,
    NORM,
    PROJECTION,
    STEM,
    Naming,
    Place,
    Variable,
)
from official_vision.errors import UserError

PARTS = (PROJECTION, FIRST, MIDDLE, LAST)
TORCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
TORCH_LINEAR = {"weight": "kernel", "bias": "bias"}
_WRAPPERS = re.compile(r"^(?:(?:module|model|backbone)\.)+")
_KERAS_MODULE = re.compile(r"conv([2-5])_block(\d+)_([0-3])_(conv|bn)")
_TORCH_MODULE = re.compile(r"layer([1-4])\.(\d+)\.(?:(conv|bn)([123])|downsample\.([01]))")
# tf_keras.applications: 1.001e-5; here 1e-5.
_KERAS_EPSILON_EXCESS = 1e-8


def unwrapped(name: str) -> str:
    """Returns a name of PyTorch's without the prefixes of wrappers."""
    return _WRAPPERS.sub("", name)


def _keras_variable(name: str) -> Variable | None:
    layer, _, variable = name.rpartition("/")
    known = {name: name for name in (NORM if layer.endswith("_bn") else ("kernel", "bias"))}
    if layer == "predictions":
        return _known(CLASSIFIER, known, variable)
    if layer in ("conv1_conv", "conv1_bn"):
        return _known(Place(0, 0, STEM), known, variable)
    match = _KERAS_MODULE.fullmatch(layer)
    if not match:
        return None
    place = Place(int(match[1]) - 1, int(match[2]) - 1, PARTS[int(match[3])])
    return _known(place, known, variable)


def _torch_variable(name: str) -> Variable | None:
    layer, _, variable = unwrapped(name).rpartition(".")
    if layer == "fc":
        return _known(CLASSIFIER, TORCH_LINEAR, variable)
    if layer in ("conv1", "bn1"):
        return _known(Place(0, 0, STEM), TORCH_LINEAR if layer == "conv1" else TORCH_NORM, variable)
    match = _TORCH_MODULE.fullmatch(layer)
    if not match:
        return None
    part = PROJECTION if match[5] else PARTS[int(match[4])]
    is_convolution = match[5] == "0" or match[3] == "conv"
    place = Place(int(match[1]), int(match[2]), part)
    return _known(place, TORCH_LINEAR if is_convolution else TORCH_NORM, variable)


def _known(place: Place | str, names: dict[str, str], variable: str) -> Variable | None:
    return Variable(place, names[variable]) if variable in names else None


KERAS = Naming(
    "ResNet-50 or ResNet-101 of tf_keras.applications",
    _keras_variable,
    is_keras=True,
    epsilon_excess=_KERAS_EPSILON_EXCESS,
)
TORCH = Naming("ResNet-50 or ResNet-101 of torchvision or timm", _torch_variable)

# A name that gives another network away -> what it is.
_OTHERS = (
    (r"^s1\.pathway|^layer\d\.\d+\.conv1\.0\.|^stem\.0\.", "a video network"),
    (r"^conv1\.\d", "a ResNet with a deep stem, as resnet50d"),
    (r"\.downsample\.2\.", "a ResNet with pooled shortcuts"),
    (r"\.(se|attn)\.", "a ResNet with channel attention (squeeze and excitation)"),
    (r"preact_bn|post_bn", "a ResNet-V2"),
)


def naming_of(names: Iterable[str], path: str) -> Naming:
    """Recognises the framework whose names a file has.

    Args:
      names: of its tensors.
      path: of the file, for errors.

    Raises:
      UserError: an unknown framework's, or those of a ResNet that this package cannot build.
    """
    names = list(names)
    for pattern, network in _OTHERS:
        telling_name = next((name for name in names if re.search(pattern, unwrapped(name))), None)
        if telling_name is not None:
            raise _other(path, f"{network}, by the name {telling_name[:80]!r}")
    torch, keras = (
        sum(naming.variable(name) is not None for name in names) for naming in (TORCH, KERAS)
    )
    if not torch and not keras:
        seen = ", ".join(repr(name[:60]) for name in names[:3]) or "none"
        raise _other(path, f"whose tensors have other names ({seen})")
    third = any(unwrapped(name).startswith("layer1.0.conv3.") for name in names)
    if torch > keras and not third and any("layer1.0.conv2." in name for name in names):
        raise _other(
            path, "a ResNet-18 or ResNet-34, whose modules have two convolutions, not three"
        )
    return KERAS if keras > torch else TORCH


def _other(path: str, what: str) -> UserError:
    return UserError(
        "The file must hold a ResNet-50 or ResNet-101 with the names of tf_keras.applications, torchvision or timm. "
        f"Received: {path}, {what}. Name another file."
    )
