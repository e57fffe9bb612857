"""The names that PySlowFast and torchvision give to the tensors of 3-D residual networks."""

from __future__ import annotations

import re

from official_vision.conversion.residual.trunk import (
    CLASSIFIER,
    PROJECTION,
    STEM,
    Naming,
    Place,
    Variable,
)
from official_vision.conversion.residual.weight_names import (
    PARTS,
    TORCH_LINEAR,
    TORCH_NORM,
    unwrapped,
)

_STEM = re.compile(r"s1\.pathway(\d)_stem\.(conv|bn)")
_MODULE = re.compile(r"s([2-5])\.pathway(\d)_res(\d+)\.(?:branch2\.([abc])(_bn)?|branch1(_bn)?)")
_TORCH_MODULE = re.compile(
    r"layer([1-4])\.(\d+)\.(?:conv([123])\.(0\.0|0\.1|[01])|downsample\.([01]))"
)
# In a Conv2Plus1D 0 is the spatial convolution and 1 its norm; what follows, over time, has no place in modules here.
_SPATIAL = {"0.0": TORCH_LINEAR, "0.1": TORCH_NORM}
_WHOLE = {"0": TORCH_LINEAR, "1": TORCH_NORM}


def _slowfast_variable(name: str) -> Variable | None:
    layer, _, variable = unwrapped(name).rpartition(".")
    if layer == "head.projection":
        return _variable(CLASSIFIER, TORCH_LINEAR, variable)
    stem = _STEM.fullmatch(layer)
    if stem:
        kinds = TORCH_LINEAR if stem[2] == "conv" else TORCH_NORM
        return _variable(Place(0, 0, STEM, int(stem[1])), kinds, variable)
    match = _MODULE.fullmatch(layer)
    if not match:
        return None
    part = PARTS[" abc".index(match[4])] if match[4] else PROJECTION
    place = Place(int(match[1]) - 1, int(match[3]), part, int(match[2]))
    return _variable(place, TORCH_NORM if match[5] or match[6] else TORCH_LINEAR, variable)


def _r2plus1d_variable(name: str) -> Variable | None:
    layer, _, variable = unwrapped(name).rpartition(".")
    if layer == "fc":
        return _variable(CLASSIFIER, TORCH_LINEAR, variable)
    if layer in ("stem.0", "stem.1"):
        return _variable(Place(0, 0, STEM), _WHOLE[layer[-1]], variable)
    match = _TORCH_MODULE.fullmatch(layer)
    if not match:
        return None
    level, module, number, inside, shortcut = match.groups()
    if shortcut:
        place, kinds = Place(int(level), int(module), PROJECTION), _WHOLE[shortcut]
        return _variable(place, kinds, variable)
    # conv2 is the pair of convolutions, conv1 and conv3 are 1x1x1.
    kinds = (_SPATIAL if number == "2" else _WHOLE).get(inside)
    return kinds and _variable(Place(int(level), int(module), PARTS[int(number)]), kinds, variable)


def _variable(place: Place | str, names: dict[str, str], variable: str) -> Variable | None:
    return Variable(place, names[variable]) if variable in names else None


SLOWFAST = Naming("SlowFast or Slow network of PySlowFast", _slowfast_variable)
R2PLUS1D = Naming("R(2+1)D network of bottlenecks with torchvision's names", _r2plus1d_variable)


def is_slowfast(name: str) -> bool:
    """Returns whether a tensor's name is PySlowFast's."""
    return bool(_STEM.match(unwrapped(name)))


def is_r2plus1d(name: str) -> bool:
    """Returns whether a tensor's name is that of torchvision's video networks."""
    return unwrapped(name).startswith(("stem.0.", "layer1.0.conv1.0."))
