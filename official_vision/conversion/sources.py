"""The formats of other programs' weights that can be converted, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from official_vision.conversion.converted import Converted, Options
from official_vision.errors import UserError, nearest

Converter = Callable[[str, Options], Converted]


@dataclasses.dataclass(frozen=True)
class Source:
    """A format.

    Attributes:
      what: in a few words.
      recognises: whether a path (a file, or a checkpoint's prefix) is of this format; never raises.
      convert: reads it.
      unread: flags of official-vision convert that its converter has no use for.
    """

    what: str
    recognises: Callable[[str], bool]
    convert: Converter
    unread: tuple[str, ...] = ()


def _is_authors_tf2(path: str) -> bool:
    from official_vision.conversion.authors.variables import kind_of

    return kind_of(path) == "objects"


def _is_authors_tf1(path: str) -> bool:
    from official_vision.conversion.authors.variables import kind_of

    return kind_of(path) == "names"


def _convert_authors(path: str, options: Options) -> Converted:
    from official_vision.conversion.authors.authors_checkpoint import convert

    return convert(path, options)


def _is_slowfast(path: str) -> bool:
    from official_vision.conversion.residual import readers, video_names

    return any(map(video_names.is_slowfast, readers.names_in(path)))


def _convert_slowfast(path: str, options: Options) -> Converted:
    from official_vision.conversion.residual.video import convert_slowfast

    return convert_slowfast(path, options)


def _is_r2plus1d(path: str) -> bool:
    from official_vision.conversion.residual import readers, video_names

    return any(map(video_names.is_r2plus1d, readers.names_in(path)))


def _convert_r2plus1d(path: str, options: Options) -> Converted:
    from official_vision.conversion.residual.video import convert_r2plus1d

    return convert_r2plus1d(path, options)


def _is_resnet(path: str) -> bool:
    """Recognises a ResNet by the file's kind alone, so that damaged and foreign ones get a precise message."""
    return path.lower().endswith((".h5", ".hdf5", ".keras", ".safetensors"))


def _convert_resnet(path: str, options: Options) -> Converted:
    from official_vision.conversion.residual.residual_weights import convert_resnet

    return convert_resnet(path, options)


# A new format is a line here; its modules are imported when it is used.
SOURCES: dict[str, Source] = {
    "authors-tf2": Source(
        "checkpoint of the authors' Model Garden port (AssembleNet, AssembleNet++)",
        _is_authors_tf2,
        _convert_authors,
    ),
    "authors-tf1": Source(
        "checkpoint of the authors' TensorFlow 1 code, whose variables have names alone",
        _is_authors_tf1,
        _convert_authors,
    ),
    "slowfast": Source(
        "SlowFast or Slow network with PySlowFast's names (.safetensors)",
        _is_slowfast,
        _convert_slowfast,
        ("params", "ema"),
    ),
    "r2plus1d": Source(
        "R(2+1)D network of bottlenecks with torchvision's names (.safetensors)",
        _is_r2plus1d,
        _convert_r2plus1d,
        ("params", "ema"),
    ),
    # Last: it takes any file of these kinds.
    "resnet": Source(
        "2-D ResNet-50 or -101 of tf_keras (.h5, .keras), torchvision or timm (.safetensors)",
        _is_resnet,
        _convert_resnet,
        ("params", "ema"),
    ),
}


def source_of(path: str) -> str:
    """Returns the name of the format of a file, or of a checkpoint's prefix.

    Raises:
      UserError: it is of none, or pickled.
    """
    from official_vision.conversion.residual.readers import refuse_pickled

    for name, source in SOURCES.items():
        if source.recognises(path):
            return name
    refuse_pickled(path)
    known = "; ".join(f"{name}: {source.what}" for name, source in SOURCES.items())
    raise UserError(
        f"--checkpoint must be weights of a known format ({known}). Received: {path}, which is of none. "
        "Name another file, or the format by --source to learn what it lacks."
    )


def check_source(source: str, flags: Iterable[str]) -> None:
    """Refuses an unknown format, and flags that its converter would leave unread.

    Args:
      source: name of the format.
      flags: that the user has set.

    Raises:
      UserError: see above.
    """
    if source not in SOURCES:
        raise UserError(
            f"--source must be a known format. Received: {source!r}. {nearest(source, SOURCES)}"
        )
    for flag in flags:
        if flag in SOURCES[source].unread:
            raise UserError(
                f"--{flag} means nothing to weights of this format. Received: --{flag}, and weights of {source}. "
                "Leave it out."
            )
