"""The base of every layer here: its configuration is read off its constructor's signature."""

from __future__ import annotations

import inspect
from typing import Any

import tf_keras

PACKAGE = "official_vision"


class Layer(tf_keras.layers.Layer):
    """A layer that stores each constructor argument under its own name.

    `get_config` then needs no second list of the arguments, so none can be left out of it.
    """

    def get_config(self) -> dict[str, Any]:
        names = (
            name
            for name, parameter in inspect.signature(type(self).__init__).parameters.items()
            if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def register(layer_class: type) -> type:
    """Registers a layer under official_vision>ClassName, so that saved models find it."""
    return tf_keras.saving.register_keras_serializable(PACKAGE)(layer_class)
