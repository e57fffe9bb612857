"""Reading the authors' checkpoints: each layer's variables, by the names that the authors' programs gave them.

Keras numbers layers by kind as it makes them (conv2d, conv2d_1, ...). The Model Garden port's checkpoints keep
these names in TensorFlow's object graph; those of TensorFlow 1 have them as keys, within the scope of a node
(Node_3/conv2d_1), where the numbers begin anew.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.conversion.coverage import Skipped
from official_vision.errors import UserError
from official_vision.private_apis import object_graph_of
from official_vision.training.checkpoints.checkpoint_files import READ_ERRORS, flaw_in

OBJECTS, NAMES = "objects", "names"
CONVOLUTION, NORM, DENSE, STRENGTHS = "conv2d", "batch_normalization", "dense", "agg_weights"
DILATED = (
    "Variable"  # TensorFlow 1's kernels of temporal convolutions with a dilation have no layer
)

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SLOT = "/.OPTIMIZER_SLOT/"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_AVERAGE_SLOT = "/.OPTIMIZER_SLOT/optimizer/average/.ATTRIBUTES/VARIABLE_VALUE"
_AVERAGE_NAME = "/ExponentialMovingAverage"
_ROOTS = ("model/", "backbone/")
_CONVOLUTION_NAME = re.compile(r"(?:^|/)conv2d(?:_\d+)?/kernel$")
_LAYER = re.compile(
    r"(?:.*/)??(?P<layer>(?:Node_(?P<node>\d+)/)?(?:(?P<scope>Connection_\d+_\d+)/)?(?:sync_)?"
    r"(?P<kind>conv2d|batch_normalization|dense)(?:_(?P<number>\d+))?)"
    r"/(?P<variable>kernel|bias|gamma|beta|moving_mean|moving_variance)"
)
_SINGLE = re.compile(
    r"(?:.*/)??(?P<layer>(?:Node_(?P<node>\d+)/)?(?:private__apply_edge_weight(?:_(?P<number>\d+))?/)?"
    r"(?P<kind>agg_weights|Variable)(?:_(?P<suffix>\d+))?)"
)
_FLOW_CONSTANTS = re.compile(r"(?:^|/)(?:rep_flow|representation_flow)\w*/(?P<name>\w+)$")
_AFTER_ALL_NODES = 1 << 30  # where names have scopes, the classifier has none
_TRAINED_FLOW = {"theta": 0.3, "lambda": 0.15, "tau": 0.25}


@dataclasses.dataclass(frozen=True)
class StoredLayer:
    """A layer of the authors' network, as it is in the checkpoint.

    Attributes:
      name: as the program named it, e.g. conv2d_12 or Node_3/conv2d_1.
      kind: conv2d, batch_normalization, dense, agg_weights or Variable.
      node: whose scope it lies in; None where names have no scopes.
      scope: Connection_168_0 and such, within the node; empty for none.
      number: by which layers of one kind and scope are ordered.
      keys: of its variables in the checkpoint, by their short names.
      shapes: of its variables, by their short names.
    """

    name: str
    kind: str
    node: int | None
    scope: str
    number: int
    keys: dict[str, str] = dataclasses.field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


class StoredWeights:
    """A checkpoint of the authors' code, read variable by variable.

    Attributes:
      path: its prefix.
      layers: all that are named as the authors' layers.
      others: names of all other variables, and their shapes.
    """

    def __init__(self, path: str, *, averaged: bool):
        """Args:
        path: the prefix.
        averaged: reads moving averages of the weights, where there are any of a variable.

        Raises:
          UserError: it is damaged, is not the authors', or lacks the averages that are wanted.
        """
        self.path = path
        self._averaged = averaged
        if kind_of(path) not in (OBJECTS, NAMES):
            raise _foreign(
                path,
                flaw_in(path) or "it has no variable named as in their code, e.g. conv2d/kernel",
            )
        if flaw := flaw_in(path):
            raise _foreign(path, f"damaged: {flaw}")
        self._reader = tf.train.load_checkpoint(path)
        self._shapes = self._reader.get_variable_to_shape_map()
        self.has_scopes = kind_of(path) == NAMES
        names = dict.fromkeys(self._shapes) if self.has_scopes else _names_of_objects(self._reader)
        self.layers, self.others = self._sorted({name: key or name for name, key in names.items()})
        if averaged and not any(
            self._average(key) for layer in self.layers for key in layer.keys.values()
        ):
            raise UserError(
                f"--ema takes moving averages of the weights. Received: {path}, which has none. Leave the flag out."
            )

    def read(self, layer: StoredLayer) -> dict[str, np.ndarray]:
        """Returns a layer's values by the short names of its variables, float32.

        Raises:
          UserError: a value is not finite.
        """
        values = {}
        for name, key in layer.keys.items():
            value = self._reader.get_tensor(self._average(key) or key).astype(np.float32)
            if not np.isfinite(value).all():
                raise _foreign(self.path, f"{layer.name}/{name} is not finite")
            values[name] = value
        return values

    @property
    def has_peers(self) -> bool:
        """Returns whether there are weights of peers, which the TensorFlow 1 code stores."""
        return any("peer_attention_weights" in other.name for other in self.others)

    def in_order(self, kind: str) -> list[StoredLayer]:
        """Returns the layers of a kind in the order in which the authors' program made them."""

        def order(layer: StoredLayer) -> tuple[int, int]:
            return (_AFTER_ALL_NODES if layer.node is None else layer.node, layer.number)

        return sorted((layer for layer in self.layers if layer.kind == kind), key=order)

    def _average(self, key: str) -> str:
        """Returns the key of a variable's moving average; empty where there is none, or it is not wanted."""
        if not self._averaged:
            return ""
        average = (
            key + _AVERAGE_NAME if self.has_scopes else key.removesuffix(_VALUE) + _AVERAGE_SLOT
        )
        return average if average in self._shapes else ""

    def _sorted(self, keys: Mapping[str, str]) -> tuple[list[StoredLayer], list[Skipped]]:
        layers: dict[str, StoredLayer] = {}
        others = []
        for name, key in keys.items():
            shape = self._shapes.get(key)
            match = _LAYER.fullmatch(name) or _SINGLE.fullmatch(name)
            if match is None or shape is None:
                others.append(Skipped(name, tuple(shape or ()), self._reason(name, key, keys)))
                continue
            parts = match.groupdict()
            layer = layers.setdefault(parts["layer"], _layer(parts, self.has_scopes))
            variable = parts.get("variable") or "value"
            layer.keys[variable], layer.shapes[variable] = key, tuple(shape)
        return [*layers.values()], others

    def _reason(self, name: str, key: str, names: Mapping[str, str]) -> str:
        """Returns the reason why a variable is not among the network's weights."""
        owner = name.rsplit("/", 1)[0]
        if constant := _FLOW_CONSTANTS.search(name):
            usual = _TRAINED_FLOW.get(constant["name"])
            if usual is not None and key in self._shapes and not self._is_near(key, usual):
                return (
                    f"trained constant of the computed flow, which is {usual:g} here: logits differ"
                )
            return "constant of the computed flow"
        if name.endswith(_AVERAGE_NAME):
            return "moving average of a weight"
        return (
            "state of the optimizer or the trainer"
            if owner in names or "/" not in name
            else "unknown"
        )

    def _is_near(self, key: str, value: float) -> bool:
        return bool(np.allclose(self._reader.get_tensor(key), value, atol=1e-6))


def kind_of(path: str) -> str:
    """Recognises which of the authors' programs wrote a checkpoint.

    Args:
      path: a path prefix; or any other path.

    Returns:
      objects for the Model Garden port's (TensorFlow 2), names for TensorFlow 1's, empty for neither.
    """
    if not Path(f"{path}.index").is_file():
        return ""
    try:
        reader = tf.train.load_checkpoint(path)
        shapes = reader.get_variable_to_shape_map()
        names = _names_of_objects(reader) if _GRAPH in shapes else shapes
    except READ_ERRORS:
        return ""
    if not any(map(_CONVOLUTION_NAME.search, names)):
        return ""
    return OBJECTS if _GRAPH in shapes else NAMES


def _names_of_objects(reader: Any) -> dict[str, str]:
    """Returns the key of each variable of a model by the name that its program gave it; slots are left out."""
    try:
        graph = object_graph_of(reader.get_tensor(_GRAPH))
    except (
        Exception
    ) as error:  # of protobuf, whose errors have no public place that is declared here
        raise ValueError(f"the object graph cannot be read ({error})") from error
    return {
        attribute.full_name: attribute.checkpoint_key
        for node in graph.nodes
        for attribute in node.attributes
        if attribute.checkpoint_key.startswith(_ROOTS) and _SLOT not in attribute.checkpoint_key
    }


def _layer(parts: Mapping[str, str | None], has_scopes: bool) -> StoredLayer:
    number = parts.get("suffix") or parts["number"] or 0
    node = int(parts["node"]) if has_scopes and parts["node"] else None
    return StoredLayer(parts["layer"], parts["kind"], node, parts.get("scope") or "", int(number))


def _foreign(path: str, flaw: str) -> UserError:
    return UserError(
        "--checkpoint must be a whole checkpoint of the authors' AssembleNet code. "
        f"Received: {path} ({flaw}). Name another, or copy it again."
    )
