"""Connection strengths and peers out of a run's checkpoint, without building the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from official_vision import config as configuration
from official_vision.architecture.connections.connectivity import (
    Learned,
    distribution_of,
    strengths_of,
)
from official_vision.architecture.formats import read_architecture
from official_vision.architecture.graph import Block
from official_vision.architecture.plan import NodePlan, make_plan
from official_vision.errors import UserError
from official_vision.training.checkpoints.checkpoint_files import READ_ERRORS
from official_vision.training.checkpoints.restore import ARCHITECTURE_FILE, find_checkpoint, step_of

# Keys of a block's w, and of the h of one of its gates, in a checkpoint of AssembleNet.
_STRENGTHS = "model/node_layers/{node}/fusion/strength_logits/.ATTRIBUTES/VARIABLE_VALUE"
_PEERS = "model/node_layers/{node}/gates/{position}/peer_logits/.ATTRIBUTES/VARIABLE_VALUE"


def learned_connectivity(model_dir: str | os.PathLike, which: str = "best") -> Learned:
    """Reads the strengths and peers that a run has learned.

    Args:
      model_dir: the run's folder, as training wrote it.
      which: best, latest, or a checkpoint's path prefix.

    Returns:
      sigmoid(w) and, of blocks with one-shot peer gates, softmax(h), for all nodes that the run built.

    Raises:
      UserError: no run, no such checkpoint, or the checkpoint of another network.
    """
    record = configuration.read_record(model_dir)
    spec = configuration.read(model_dir).model.with_numbers()
    architecture = read_architecture(Path(model_dir) / ARCHITECTURE_FILE)
    checkpoint = find_checkpoint(model_dir, which)
    is_gated = spec.gate == "peer"
    alive = architecture.live_nodes(gated_by_peers=is_gated)
    plan = make_plan(architecture, spec.num_object_classes)
    blocks = {
        node.index: (architecture.nodes[node.index], node)
        for node in plan
        if node.index in alive and isinstance(architecture.nodes[node.index], Block)
    }
    read = _reader(checkpoint)
    strengths = {
        index: strengths_of(read(_STRENGTHS.format(node=index), len(block.inputs)))
        for index, (block, _) in blocks.items()
        if len(block.inputs) > 1
    }
    distributions = {
        index: _distributions(read, index, node)
        for index, (block, node) in blocks.items()
        if is_gated and block.peers is None
    }
    source = {
        "checkpoint": checkpoint,
        "step": step_of(checkpoint),
        "data_fingerprints": record["data_fingerprints"],
    }
    return Learned(architecture, strengths, distributions, source)


# A variable's key and number of values -> its values, float64.
_Read = Callable[[str, int], np.ndarray]


def _reader(checkpoint: str) -> _Read:
    try:
        reader = tf.train.load_checkpoint(checkpoint)
    except READ_ERRORS as error:
        raise _unfit(checkpoint, "which cannot be read") from error
    shapes = reader.get_variable_to_shape_map()

    def read(key: str, count: int) -> np.ndarray:
        if list(shapes.get(key, ())) != [count]:
            shape = f"shaped {shapes[key]}" if key in shapes else "missing"
            raise _unfit(checkpoint, f"in which {key.split('/.')[0]}, [{count}], is {shape}")
        try:
            values = np.asarray(reader.get_tensor(key), np.float64)
        except READ_ERRORS as error:
            raise _unfit(checkpoint, "whose data file cannot be read") from error
        if not np.isfinite(values).all():
            raise _unfit(checkpoint, f"in which {key.split('/.')[0]} is not finite")
        return values

    return read


def _unfit(checkpoint: str, reason: str) -> UserError:
    return UserError(
        "A checkpoint must hold the connection strengths and peers of its folder's architecture. "
        f"Received: {checkpoint}, {reason}. Name a checkpoint of this run."
    )


def _distributions(read: _Read, index: int, plan: NodePlan) -> tuple[tuple[float, ...], ...]:
    """Returns softmax(h) of each of a block's connections."""
    keys = [_PEERS.format(node=index, position=p) for p in range(len(plan.fusion.inputs))]
    return tuple(distribution_of(read(key, len(plan.candidates))) for key in keys)
