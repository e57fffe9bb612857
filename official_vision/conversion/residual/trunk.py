"""A residual network as in its file: convolutions with their batch norms, by their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from official_vision.conversion.coverage import Skipped
from official_vision.errors import UserError

NORM = ("gamma", "beta", "moving_mean", "moving_variance")
STEM, FIRST, MIDDLE, LAST, PROJECTION = "stem", "first", "middle", "last", "projection"
CLASSIFIER = "classifier"
_EVERY_MODULE = {FIRST, MIDDLE, LAST}


@dataclasses.dataclass(frozen=True, order=True)
class Place:
    """The place of a convolution in a residual network.

    Attributes:
      level: 1 to 4; 0 for the stem.
      module: of the level, from 0.
      part: stem, first, middle, last or projection.
      pathway: of networks that have several.
    """

    level: int
    module: int
    part: str
    pathway: int = 0


@dataclasses.dataclass(frozen=True)
class Variable:
    """The role of a tensor.

    Attributes:
      place: of its convolution, or CLASSIFIER.
      name: kernel, bias or one of NORM; of a convolution or of the norm after it.
    """

    place: Place | str
    name: str


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution and the batch norm after it.

    Attributes:
      kernel: [time, height, width, in, out].
      norm: gamma, beta, moving_mean and moving_variance, each [out]; a bias is folded into the mean, and another
        epsilon than ours into the variance.
      names: of the tensors that each was made of, by kernel or name of the norm's variable.
    """

    kernel: np.ndarray
    norm: Mapping[str, np.ndarray]
    names: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Trunk:
    """A file's network.

    Attributes:
      convolutions: by place.
      classifier: kernel [channels, classes] and bias [classes]; empty where the file has none.
      classifier_names: of these tensors.
      skipped: tensors that are of no use.
    """

    convolutions: Mapping[Place, Convolution]
    classifier: Mapping[str, np.ndarray]
    classifier_names: Mapping[str, str]
    skipped: tuple[Skipped, ...]

    @property
    def modules(self) -> tuple[int, ...]:
        """Returns the residual modules of levels 1 to 4."""
        return tuple(
            len({place.module for place in self.convolutions if place.level == level})
            for level in range(1, 5)
        )

    @property
    def classes(self) -> int | None:
        """Returns the number of classes of the classifier; None where there is none."""
        return self.classifier["bias"].shape[0] if self.classifier else None


@dataclasses.dataclass(frozen=True)
class Naming:
    """The names that a framework gives to a residual network's tensors.

    Attributes:
      network: in words, for messages.
      variable: what a tensor is by its name; None for none of the network's.
      is_keras: kernels are [height, width, in, out], and not [out, in, (time,) height, width].
      epsilon_excess: of the batch norms, above this package's.
    """

    network: str
    variable: Callable[[str], Variable | None]
    is_keras: bool = False
    epsilon_excess: float = 0.0


def read_trunk(tensors: Mapping[str, np.ndarray], naming: Naming, path: str) -> Trunk:
    """Assembles a network from tensors.

    Args:
      tensors: by name.
      naming: of the file.
      path: of the file, for errors.

    Raises:
      UserError: no tensor is named so, or one is missing or of a shape that does not fit.
    """
    stored: dict[Place | str, dict[str, str]] = {}
    skipped = []
    for name, tensor in tensors.items():
        variable = naming.variable(name)
        if variable is None or tensor.dtype.kind != "f":
            reason = (
                "whole numbers, no weights" if tensor.dtype.kind != "f" else "no layer like it here"
            )
            skipped.append(Skipped(name, tensor.shape, reason))
            continue
        names = stored.setdefault(variable.place, {})
        if variable.name in names:
            raise _unfit(naming, path, f"where {names[variable.name][:80]} and {name[:80]} are one")
        names[variable.name] = name
    classifier = stored.pop(CLASSIFIER, {})
    _check_modules(stored, naming, path)
    convolutions = {
        place: _convolution(place, stored[place], tensors, naming, path) for place in sorted(stored)
    }
    _check_groups(convolutions, naming, path)
    return Trunk(
        convolutions, _classifier(classifier, tensors, naming, path), classifier, tuple(skipped)
    )


def _check_modules(stored: Mapping[Place, dict], naming: Naming, path: str) -> None:
    """Refuses a network with missing layers: truncated files, or other networks."""
    modules: dict[tuple[int, int, int], set[str]] = {}
    for place in stored:
        if place.level:
            key = (place.pathway, place.level, place.module)
            modules.setdefault(key, set()).add(place.part)
    for pathway, level, module in modules:
        wanted = _EVERY_MODULE | (set() if module else {PROJECTION})
        before = module == 0 or (pathway, level, module - 1) in modules
        lacking = sorted(wanted - modules[pathway, level, module])
        if lacking or not before:
            what = lacking[0] if lacking else "module before it"
            raise _unfit(naming, path, f"without the {what} of module {module} of level {level}")
    levels = {level for _, level, _ in modules}
    if levels != {1, 2, 3, 4} or not any(place.level == 0 for place in stored):
        seen = ", ".join(map(str, sorted(levels))) or "none"
        raise _unfit(naming, path, f"with tensors of levels {seen}, or without a stem")


def _check_groups(convolutions: Mapping[Place, Convolution], naming: Naming, path: str) -> None:
    for place, convolution in convolutions.items():
        first = convolutions.get(dataclasses.replace(place, part=FIRST))
        fed = convolution.kernel.shape[-2]
        if place.part == MIDDLE and first and fed != first.kernel.shape[-1]:
            flaw = f"whose 3x3 convolutions are grouped ({first.kernel.shape[-1] / fed:g}), as ResNeXt's"
            raise _unfit(naming, path, flaw)


def _unfit(naming: Naming, path: str, flaw: str) -> UserError:
    return UserError(
        f"The file must hold a whole {naming.network}. Received: {path}, {flaw}. Name another file."
    )


def _convolution(
    place: Place,
    names: Mapping[str, str],
    tensors: Mapping[str, np.ndarray],
    naming: Naming,
    path: str,
) -> Convolution:
    for needed in ("kernel", *NORM):
        if needed not in names:
            raise _unfit(naming, path, f"without the {needed} of {_named(place)}")
    kernel = _kernel(tensors[names["kernel"]], naming.is_keras)
    if kernel is None:
        raise _unfit(
            naming, path, f"in which {names['kernel'][:80]} has {tensors[names['kernel']].shape}"
        )
    norm = {name: tensors[names[name]].astype(np.float64) for name in NORM}
    vectors = {**norm, **({"bias": tensors[names["bias"]]} if "bias" in names else {})}
    for name, value in vectors.items():
        if value.shape != kernel.shape[-1:]:
            flaw = f"in which {names[name][:80]} has {value.shape}, not {kernel.shape[-1:]}"
            raise _unfit(naming, path, flaw)
    norm["moving_variance"] += naming.epsilon_excess
    made_of = {name: (names[name],) for name in ("kernel", *NORM)}
    if "bias" in names:
        norm["moving_mean"] -= vectors["bias"]
        made_of["moving_mean"] += (names["bias"],)
    return Convolution(kernel, norm, made_of)


def _kernel(kernel: np.ndarray, is_keras: bool) -> np.ndarray | None:
    """Returns a kernel as [time, height, width, in, out]; None where it has another number of dimensions."""
    if kernel.ndim == 4:
        return kernel[None] if is_keras else kernel.transpose(2, 3, 1, 0)[None]
    if kernel.ndim == 5 and not is_keras:
        return kernel.transpose(2, 3, 4, 1, 0)
    return None


def _classifier(
    names: Mapping[str, str], tensors: Mapping[str, np.ndarray], naming: Naming, path: str
) -> dict[str, np.ndarray]:
    if not names:
        return {}
    kernel, bias = (tensors.get(names.get(name, "")) for name in ("kernel", "bias"))
    if kernel is None or bias is None or kernel.ndim != 2:
        raise _unfit(naming, path, "whose classifier has no kernel of two dimensions and bias")
    kernel = kernel if naming.is_keras else kernel.T
    if bias.shape != kernel.shape[1:]:
        raise _unfit(naming, path, f"whose classifier has shapes {kernel.shape} and {bias.shape}")
    return {"kernel": kernel, "bias": bias}


def _named(place: Place) -> str:
    if not place.level:
        return "the stem"
    return f"the {place.part} convolution of module {place.module} of level {place.level}"
