"""The settings in Model Garden's params.yaml that describe a network of the authors' port."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from official_vision.errors import UserError

PARAMS_FILE = "params.yaml"
_KINDS = ("assemblenet", "assemblenet_plus")
_STRUCTURE = ("level", "input_blocks", "num_filters", "temporal_dilation", "spatial_stride")


@dataclasses.dataclass(frozen=True)
class Params:
    """Settings of a run of the port.

    Attributes:
      path: of the file.
      kind: assemblenet or assemblenet_plus.
      depth: 26 to 101.
      attention: self, peer or off, of assemblenet_plus; off of assemblenet.
      combines: sigmoid or concat.
      structure, edge_weights: as the authors' nested lists.
      pools_by_softmax: max_pool_predictions of the port.
      is_multilabel: several classes per clip.
      is_zero_centred: rgb is fed in -1..1; else in 0..1.
      norm_epsilon: of batch norms.
    """

    path: str
    kind: str
    depth: int
    attention: str
    combines: str
    structure: list[list]
    edge_weights: list[list]
    pools_by_softmax: bool
    is_multilabel: bool
    is_zero_centred: bool
    norm_epsilon: float


class _Loader(yaml.SafeLoader):
    """Loads plain values, and the tuples that Model Garden writes as Python's; no tag runs code."""


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: loader.construct_sequence(node, deep=True),
)


def find_params(checkpoint: str, path: str) -> Params | None:
    """Reads the params.yaml at `path`, or beside a checkpoint or one folder above.

    Args:
      checkpoint: its path prefix.
      path: path of the file; empty looks for it.

    Returns:
      None where there is none.

    Raises:
      UserError: the file is missing, is not YAML or is not of the port.
    """
    if path:
        return _read(Path(path))
    folder = Path(checkpoint).resolve().parent
    beside = (folder / PARAMS_FILE, folder.parent / PARAMS_FILE)
    return next((_read(path) for path in beside if path.is_file()), None)


def _read(path: Path) -> Params:
    try:
        values = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)  # a SafeLoader
        return _params(str(path), values)
    except OSError as error:
        raise _unfit(path, error.strerror or str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _unfit(path, f"not YAML: {' '.join(str(error).split())[:200]}") from error
    except (TypeError, ValueError, OverflowError, KeyError, AttributeError) as error:
        raise _unfit(path, f"{type(error).__name__} {error}") from error


def _params(path: str, values: Any) -> Params:
    task = _section(values, "task")
    model = _section(task, "model")
    backbone = _section(model, "backbone")
    kind = backbone.get("type") or model.get("model_type")
    if kind not in _KINDS:
        raise ValueError(f"its task.model.backbone.type is {kind!r}, none of {', '.join(_KINDS)}")
    network = _section(backbone, kind)
    if network.get("use_object_input"):
        raise ValueError("use_object_input is true, which the port's configurations cannot feed")
    structure, edge_weights = _lists(network["blocks"])
    epsilon = float(_section(model, "norm_activation").get("norm_epsilon", 1e-5))
    if not 0 < epsilon < 1:
        raise ValueError(f"its norm_epsilon is {epsilon}")
    data = _section(task, "train_data")
    return Params(
        path=path,
        kind=kind,
        depth=int(network.get("model_id", 50)),
        attention=_attention(kind, network),
        combines=str(network.get("combine_method", "sigmoid")),
        structure=structure,
        edge_weights=edge_weights,
        pools_by_softmax=bool(model.get("max_pool_predictions", False)),
        is_multilabel=bool(data.get("is_multilabel", False)),
        is_zero_centred=bool(data.get("zero_centering_image", False)),
        norm_epsilon=epsilon,
    )


def _attention(kind: str, network: Mapping[str, Any]) -> str:
    """Returns the mode as the port reads it: any text that is not 'peer' means self, also 'None', its default."""
    mode = network.get("attention_mode", "None") if kind == "assemblenet_plus" else None
    if not mode:
        return "off"
    return "peer" if mode == "peer" else "self"


def _section(values: Any, name: str) -> Mapping[str, Any]:
    section = values.get(name) or {}
    if not isinstance(section, Mapping):
        raise ValueError(f"its {name} is no section but {section!r:.60}")
    return section


def _lists(blocks: Any) -> tuple[list[list], list[list]]:
    structure, edge_weights = [], []
    for block in blocks:
        row = [block[name] for name in _STRUCTURE]
        structure.append(row if row[0] >= 0 else [row[0], row[3]])
        edge_weights.append(list(block.get("input_block_weight") or ()))
    if not structure:
        raise ValueError("its blocks are empty")
    return structure, edge_weights


def _unfit(path: Path, flaw: str) -> UserError:
    return UserError(
        f"params.yaml must be of a run of the authors' Model Garden port. Received: {path} ({flaw}). "
        "Name another by --params, or give --structure."
    )
