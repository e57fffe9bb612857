"""Reading the authors' checkpoints: every variable by the name that the authors' program gave it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from official_vision.errors import UserError
from official_vision.training.checkpoints import READ_ERRORS

_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_SLOT = "/.OPTIMIZER_SLOT/"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_ROOTS = ("model/", "backbone/")
_CONVOLUTION = re.compile(r"(?:^|/)conv2d(?:_\d+)?/kernel$")


def kind_of(path: str) -> str:
    """Tells which of the authors' programs wrote a checkpoint.

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
    except (*READ_ERRORS, UserError):
        return ""
    if not any(map(_CONVOLUTION.search, names)):
        return ""
    return "objects" if _GRAPH in shapes else "names"


def _names_of_objects(reader: Any) -> dict[str, str]:
    """The key of each variable of a model by the name that its program gave it; slots are left out."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor(_GRAPH))
    return {
        attribute.full_name: attribute.checkpoint_key
        for node in graph.nodes
        for attribute in node.attributes
        if attribute.checkpoint_key.startswith(_ROOTS) and _SLOT not in attribute.checkpoint_key
    }
