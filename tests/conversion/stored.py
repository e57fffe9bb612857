"""Checkpoints that the authors' Model Garden port wrote (TF 2.15), and what it computed by them.

Each folder has io.npz: clips x [batch, time, height, width, 3] (float32 in 0..1, or uint8) and logits y
[batch, classes]; ema, where there is one, are the logits by the weights' moving averages. Widths are far below
the published ones, so that files are small: middle ones are 8..64 in plus_self_50, and 2..16 in the others.

    plus_self_50  AssembleNet++-50, self gates, written by Model Garden's trainer; without params.yaml
    v1_26         AssembleNet-26 with moving averages, two blocks at the last level, a block that nothing reads
    plus_26       AssembleNet++-26 of that graph with max_pool_predictions and attention_mode 'None', which the port
                  takes for self; its code drops two connections, and learns strengths also where some are fixed
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

# Of v1_26 and plus_26, as the port got it.
ROWS = [
    *([-1, 2], [-1, 4], [-1, 1], [-2, 1], [-2, 1], [-2, 1], [-2, 1], [-1, 8]),
    [0, [0, 1, 4, 6], 1, 1, 1, 0],
    [0, [2, 3, 5, 7], 1, 2, 1, 0],
    [1, [0, 8, 9], 2, 2, 2, 0],
    [1, [8], 2, 1, 2, 0],
    [2, [8, 9, 10], 2, 4, 2, 0],
    [3, [12], 2, 1, 2, 0],
    [3, [9, 10, 12], 2, 2, 1, 0],
]
DATA = Path(__file__).parent / "assets"


def prefix(name):
    return str(DATA / name / "ckpt-0")


def logits_of(model, clips):
    """Logits of a network of ours for the clips of an io.npz."""
    scale = 1 if clips.dtype == np.uint8 else 255
    return model({"rgb": clips * scale}, training=False)["logits"].numpy()


def structure_50():
    """The rows of plus_self_50."""
    return json.loads(str(np.load(DATA / "plus_self_50" / "io.npz")["structure"]))


def copy(name, folder, *files):
    """Copies a checkpoint, and the files named besides; returns its prefix."""
    for path in (DATA / name).iterdir():
        if path.name.startswith("c") or path.name in files:
            shutil.copyfile(path, folder / path.name)
    return str(folder / "ckpt-0")


def variables_of(name):
    """Yields the port's name, the key and the value of each variable of a model in a checkpoint."""
    reader = tf.train.load_checkpoint(prefix(name))
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    for attribute in (attribute for node in graph.nodes for attribute in node.attributes):
        key = attribute.checkpoint_key
        if key.startswith(("model/", "backbone/")) and "OPTIMIZER_SLOT" not in key:
            yield attribute.full_name, key, reader.get_tensor(key)


def rewrite(name, folder, is_left_out):
    """Writes a checkpoint of the port anew in TensorFlow's object-based form, without some variables.

    Args:
      name: of the checkpoint.
      folder: to write to.
      is_left_out: decides by the port's name of a variable.

    Returns:
      The prefix.
    """
    roots = {"model": tf.Module(), "backbone": tf.Module()}
    for full_name, key, value in variables_of(name):
        if not is_left_out(full_name):
            root, path = key.split("/.ATTRIBUTES")[0].split("/", 1)
            setattr(roots[root], path.replace("/", "_"), tf.Variable(value, name=full_name))
    return tf.train.Checkpoint(**roots).write(str(folder / "rewritten"))


def write_lists(path, rows):
    path.write_text(json.dumps(rows))
    return str(path)
