"""A second implementation of the networks, in TensorFlow 1's manner: graphs, scopes, and a Saver by names.

Variables are named by TensorFlow 1's layers themselves, which number them within the scope of a node; kernels
of dilated convolutions are plain variables, spread with zeros, as the authors' first code had them.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
layers = v1.layers
MODULES = {26: (2, 2, 2, 2), 38: (2, 4, 4, 2)}


@dataclasses.dataclass(frozen=True)
class Network:
    """The network to build: the authors' rows, and the values of their flags."""

    structure: list
    depth: int = 26
    middle: tuple = (2, 4, 8, 16)
    attention: str = ""
    max_pool_predictions: bool = False
    classes: int = 5


def write(network, x, path, *, averages=False):
    """Writes a checkpoint with random weights.

    Args:
      network: what to build.
      x: clips, float32 [batch, time, height, width, 3] in 0..1.
      path: prefix of the checkpoint.
      averages: keeps moving averages beside the weights, with other values.

    Returns:
      Logits [batch, classes] by the weights, and by the averages where they are there.
    """
    with tf.Graph().as_default(), v1.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its layers are TensorFlow 1's
        logits = _logits(network, x)
        average = v1.train.ExponentialMovingAverage(0.5)
        if averages:
            average.apply(v1.trainable_variables())
        v1.train.get_or_create_global_step()
        weights = [
            variable
            for variable in v1.global_variables()
            if variable.dtype.base_dtype == tf.float32
        ]
        random = np.random.default_rng(0)
        values = {variable.initializer.inputs[1]: _value(random, variable) for variable in weights}
        saver = v1.train.Saver()
        put = [
            variable.assign(average.average(variable))
            for variable in v1.trainable_variables()
            if averages
        ]
        session.run(v1.global_variables_initializer(), values)
        saver.save(session, path, write_meta_graph=False)
        by_weights = session.run(logits)
        session.run(put)
        return by_weights, session.run(logits)


def _value(random, variable):
    shape = variable.shape.as_list()
    if "gamma" in variable.name or "variance" in variable.name:
        return random.uniform(0.5, 1.5, shape)
    if "agg_weights" in variable.name:
        return random.normal(size=shape)
    if len(shape) == 1:
        return random.normal(0, 0.3, shape)
    return random.normal(0, np.sqrt(1.5 / np.prod(shape[:-1])), shape)


def _logits(network, x):
    batch, frames, height, width, _ = x.shape
    rgb = tf.reshape(tf.constant(x), [batch * frames, height, width, 3])
    stems = sum(row[0] < 0 for row in network.structure)
    nodes = []
    for index, row in enumerate(network.structure):
        with v1.variable_scope(f"Node_{index}"):
            if row[0] < 0:
                y = _norm(_spatial(rgb, 128 // stems, 7, 2))
                y = _over_time(y, frames, 128 // stems, 5, row[1])
                nodes.append(tf.nn.max_pool2d(y, 3, 2, "SAME"))
            else:
                below = [i for i, other in enumerate(network.structure) if other[0] < row[0]]
                # The authors go through levels from objects up.
                below.sort(key=lambda i: network.structure[i][0])
                y = _fused(network, [nodes[i] for i in row[1]], [nodes[i] for i in below])
                nodes.append(_block(network, y, row, frames))
    last = [y for y, row in zip(nodes, network.structure, strict=True) if row[0] == 3]
    features = tf.add_n([tf.reduce_mean(y, [1, 2]) for y in last]) / len(last)
    features = tf.reshape(features, [batch, frames, -1])
    if not network.max_pool_predictions:
        return layers.dense(tf.reduce_mean(features, 1), network.classes)
    scores = layers.dense(features, network.classes)
    return tf.reduce_sum(scores * tf.nn.softmax(scores / np.sqrt(frames), axis=1), 1)


def _spatial(x, filters, size, stride):
    edge = size // 2 if stride > 1 else 0
    x = tf.pad(x, [[0, 0], [edge, edge], [edge, edge], [0, 0]])
    padding = "valid" if stride > 1 else "same"
    return layers.conv2d(x, filters, size, stride, padding, use_bias=False)


def _norm(x, relu=True):
    y = layers.batch_normalization(x, momentum=0.99, epsilon=1e-5, training=False)
    return tf.nn.relu(y) if relu else y


def _over_time(x, frames, filters, size, dilation):
    rows, height, width, channels = x.shape
    x = tf.reshape(x, [rows // frames, frames, height * width, channels])
    if dilation == 1:
        y = layers.conv2d(x, filters, (size, 1), 1, "same", use_bias=False)
    else:
        kernel = v1.Variable(tf.zeros([size, 1, channels, filters]))
        spread = tf.concat(
            [
                tf.pad(tap, [[0, dilation - 1], [0, 0], [0, 0], [0, 0]])
                for tap in tf.split(kernel, size)
            ],
            axis=0,
        )[: dilation * (size - 1) + 1]
        y = tf.nn.conv2d(x, spread, 1, "SAME")
    return _norm(tf.reshape(y, [rows, height, width, filters]))


def _gated(x):
    opened = tf.sigmoid(layers.dense(tf.reduce_mean(x, [1, 2]), x.shape[-1]))
    return x * opened[:, tf.newaxis, tf.newaxis]


def _fused(network, inputs, below):
    if network.attention:
        widest = max(y.shape[-1] for y in below)
        for y in below:  # maps of candidate peers, which self attention leaves unread
            layers.dense(tf.reduce_mean(y, [1, 2]), widest)
    if len(inputs) == 1:
        return _gated(inputs[0]) if network.attention else inputs[0]
    w = tf.sigmoid(v1.Variable(tf.zeros([len(inputs)]), name="agg_weights"))
    smallest = min(y.shape[1] for y in inputs)
    groups = {}
    for position, y in enumerate(inputs):
        ratio = y.shape[1] // smallest
        if ratio > 1:
            y = tf.nn.max_pool2d(y, ratio, ratio, "SAME")
        groups.setdefault(int(y.shape[-1]), []).append(w[position] * y)
    target = max(groups)
    if network.attention:
        for width, group in groups.items():
            for number in range(len(group)):
                with v1.variable_scope(f"Connection_{width}_{number}"):
                    group[number] = _gated(group[number])
    sums = {width: tf.add_n(group) for width, group in groups.items()}
    return tf.add_n(
        [y if width == target else _spatial(y, target, 1, 1) for width, y in sums.items()]
    )


def _block(network, x, row, frames):
    level, _, channels, dilation, stride = row[:5]
    for module in range(MODULES[network.depth][level]):
        step = stride if module == 0 else 1
        shortcut = x if module else _norm(_spatial(x, 4 * channels, 1, step), relu=False)
        first = _over_time(x, frames, channels, 3, dilation) if module % 2 else None
        y = _norm(_spatial(x, channels, 1, 1)) if first is None else first
        y = _norm(_spatial(y, network.middle[level], 3, step))
        x = tf.nn.relu(_norm(_spatial(y, 4 * channels, 1, 1), relu=False) + shortcut)
    return x
