"""Freezes weights, chosen by patterns over their names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from official_vision.errors import UserError


def check_patterns(patterns: Sequence[str]) -> None:
    """Checks that each is a regular expression.

    Raises:
      UserError: one is not.
    """
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise UserError(
                f"TrainSpec.frozen must hold regular expressions. Received: {pattern!r} ({error}). "
                "Name layers, e.g. 'node_0[0-3]/' or '^(?!head)'."
            ) from error


def freeze(model: tf_keras.Model, patterns: Sequence[str]) -> list[tf.Variable]:
    """Freezes weights; a batch norm of which all are frozen runs with its moving statistics.

    Args:
      model: the network, built.
      patterns: regular expressions, searched in names such as node_04/module_0/first/kernel.

    Returns:
      The trainable variables that no pattern matches: those that training may move.

    Raises:
      UserError: a pattern that matches no weight, or patterns that match all.
    """
    if not patterns:
        return model.trainable_variables
    names = {variable.ref(): name_of(variable) for variable in model.trainable_variables}
    for pattern in patterns:
        if not any(re.search(pattern, name) for name in names.values()):
            raise UserError(
                f"TrainSpec.frozen must match names of weights. Received: {pattern!r}, which matches none. "
                f"{_similar(pattern, list(names.values()))}"
            )
    frozen = {
        ref for ref, name in names.items() if any(re.search(pattern, name) for pattern in patterns)
    }
    if len(frozen) == len(names):
        raise UserError(
            f"TrainSpec.frozen must leave weights to train. Received: {tuple(patterns)}, which match all "
            f"{len(names)}. Leave out the classifier, e.g. '^(?!head)'."
        )
    for layer in model.submodules:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.trainable = not all(v.ref() in frozen for v in layer.trainable_variables)
    return [v for v in model.trainable_variables if v.ref() not in frozen]


def name_of(variable: tf.Variable) -> str:
    """Returns a weight's name without the model's name and ":0", e.g. node_04/module_0/first/kernel."""
    return variable.name.split("/", 1)[-1].split(":")[0]


def _similar(pattern: str, names: Sequence[str]) -> str:
    parents = {name.rsplit("/", depth)[0] for name in names for depth in range(name.count("/") + 1)}
    close = difflib.get_close_matches(pattern, sorted({*names, *parents}), n=3, cutoff=0.5)
    if close:
        return f"Similar: {', '.join(close)}."
    return f"Layers: {', '.join(sorted({name.split('/')[0] for name in names}))}."
