"""The description of an exported file, by which videos are fed to it as its training data was.

assets/model.json is written by export and read by predict; both know it from here. Without TensorFlow:
a wrong folder is refused at once.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files, formats
from official_vision.errors import UserError
from official_vision.names import check_no_pattern
from official_vision.specs import DataSpec, PrepareSpec

ASSETS_FOLDER = "assets"  # TensorFlow's name
MODEL_FILE = "model.json"
# Of a SavedModel: the first is for clients that have only a video, the second for those that have every stream.
DEFAULT_SIGNATURE, STREAMS_SIGNATURE = "serving_default", "streams"
FEATURES_SIGNATURE, HEAD_SIGNATURE = "features", "head"
HEAD_INPUT = "head"  # what the classifier reads, among the features
LABELS_FILE = "labels.txt"
_PREPARATION = ("short_side", "fps", "flow", "flow_bound", "objects")
_OBJECTS = tuple(f.name for f in dataclasses.fields(PrepareSpec) if f.name.startswith("object_"))
_CLIP = ("frames", "frame_stride", "size", "short_video")


@dataclasses.dataclass(frozen=True)
class Gate:
    """A gated connection.

    Attributes:
      source, target: node indices.
      peers: (node, share) of each node that the gate reads, largest share first; empty for a static
        gate, which reads none.
      strength: learned weight of the connection, in (0, 1); 1 for a block's only input.
    """

    source: int
    target: int
    peers: tuple[tuple[int, float], ...]
    strength: float


@dataclasses.dataclass(frozen=True)
class Description:
    """The inputs of an exported network, and the meaning of its scores.

    Attributes:
      labels: class names, in the order of the scores.
      streams: rgb, flow, objects: those that are fed.
      preparation: short side, frame rate, flow and objects of the training data.
      clip: frames, step, size and filling of the clips that it was evaluated on.
      nodes: each node's name, for people; empty where it describes a run.
      gates: of the network, likewise.
      stem_share: of a clip's arithmetic, in [0, 1], that those stems do whose output overlapping windows
        don't share; None where it describes a run.
      shared_stems: outputs of the others, by the names of `stem_name`.
      feature_nodes: indices of the nodes whose averages the file gives.
    """

    labels: tuple[str, ...]
    streams: tuple[str, ...]
    preparation: PrepareSpec
    clip: DataSpec
    nodes: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    stem_share: float | None = None
    shared_stems: tuple[str, ...] = ()
    feature_nodes: tuple[int, ...] = ()


def gate_name(gate: Gate) -> str:
    """Returns the name of a gate's output in an exported file: gate_0_4 gates what node 4 reads of node 0."""
    return f"gate_{gate.source}_{gate.target}"


def stem_name(node: str) -> str:
    """Returns the name of a stem's output in an exported file."""
    return f"stem_{node}"


def node_name(node: int | str) -> str:
    """Returns the name of a node's average in an exported file."""
    return f"node_{node}"


def gates_to_list(gates: list[Gate]) -> list[dict[str, Any]]:
    """Returns JSON values that `gates_from_list` reads back."""
    return [dataclasses.asdict(gate) for gate in gates]


def gates_from_list(values: list[Mapping[str, Any]]) -> list[Gate]:
    """Reads what `gates_to_list` made, also from JSON, which has no tuples."""
    return [
        Gate(
            int(entry["source"]),
            int(entry["target"]),
            tuple((int(node), float(share)) for node, share in entry["peers"]),
            float(entry["strength"]),
        )
        for entry in values
    ]


def feeding_to_dict(preparation: Mapping[str, Any], clip: DataSpec) -> dict[str, Any]:
    """Returns the part of model.json that `read_description` reads back into specs."""
    settings = clip.to_dict()
    return {
        "preparation": _chosen(preparation),
        "clip": {name: settings[name] for name in _CLIP},
    }


# Endings of exported files that are named by themselves, of clips of one size.
SINGLE_FILES = (".tflite", ".onnx", ".stablehlo")


def version_folder(path: str | os.PathLike) -> Path:
    """Returns the folder of an exported version: `path` itself, or the greatest version in it.

    Raises:
      UserError: no exported file lies there, or TensorFlow can't read the path.
    """
    path = Path(path)
    versions = [p for p in path.glob("*") if p.name.isdecimal()] if path.is_dir() else []
    folder = max(versions, key=lambda p: int(p.name)) if versions else path
    if not (folder / ASSETS_FOLDER / MODEL_FILE).is_file():
        raise UserError(
            f"--model names a folder that official-vision export has written. Received: {path}, which is none. "
            "Export first."
        )
    check_no_pattern(folder, "--model")
    return folder


def weights_file(model: Path) -> Path:
    """Returns the file of an exported model that another export changes.

    Args:
      model: a version's folder, or one of the single files in it.
    """
    return model / "variables" / "variables.index" if model.is_dir() else model


def read_description(folder: Path) -> Description:
    """Reads the description of an exported version.

    Raises:
      UserError: it is missing, is not JSON or lacks a setting.
    """
    path = folder / ASSETS_FOLDER / MODEL_FILE
    values = formats.EXPORTED_MODEL.read(path)
    with files.damage_reported(path):
        return dataclasses.replace(
            _description(values),
            nodes=tuple(values["nodes"]),
            gates=tuple(gates_from_list(values["gates"])),
            stem_share=values["stem_share"],
            shared_stems=tuple(values["shared_stems"]),
            feature_nodes=tuple(values["feature_nodes"]),
        )


def description_of_run(
    labels: Sequence[str],
    streams: Sequence[str],
    preparation: Mapping[str, Any],
    clip: DataSpec,
) -> Description:
    """Returns the description that an export of a run would have: arguments as in Description and feeding_to_dict."""
    feeding = feeding_to_dict(preparation, clip)
    return _description({"labels": labels, "streams": streams, **feeding})


def _description(values: Mapping[str, Any]) -> Description:
    return Description(
        tuple(values["labels"]),
        tuple(values["streams"]),
        preparation_of(values["preparation"]),
        DataSpec(**{name: values["clip"][name] for name in _CLIP}),
    )


def preparation_of(values: Mapping[str, Any]) -> PrepareSpec:
    """Returns how videos are prepared for a network: the settings of its training data that prediction follows."""
    return PrepareSpec(**_chosen(values))


def _chosen(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that prediction follows; those of objects may be younger than the values."""
    objects = {name: values[name] for name in _OBJECTS if name in values}
    return {**{name: values[name] for name in _PREPARATION}, **objects}
