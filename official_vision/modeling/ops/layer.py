"""The base of every layer here, which reads its configuration off its constructor's signature."""

from __future__ import annotations

import inspect
from typing import Any

import tensorflow as tf
import tf_keras

from official_vision.modeling.execution import Execution

PACKAGE = "official_vision"


class Layer(tf_keras.layers.Layer):
    """A layer that stores each constructor argument under its name, and its network's execution.

    `get_config` then needs no second list of the arguments, so none can be left out of it. The execution is not
    among them: a saved layer computes the same wherever it is loaded, by what is quick there.
    """

    def __init__(self, execution: Execution | None = None, **kwargs):
        """Args:
        execution: of the network; None takes TensorFlow's plain operations.
        **kwargs: of Keras's Layer.
        """
        super().__init__(**kwargs)
        self.execution = execution or Execution()

    def get_config(self) -> dict[str, Any]:
        names = (
            name
            for name, parameter in inspect.signature(type(self).__init__).parameters.items()
            if name not in ("self", "execution")
            and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def feature_maps(channels: int) -> tf.TensorShape:
    """Specifies [batch * time, height, width, channels], of any size but for the channels."""
    return tf.TensorShape([None, None, None, channels])


def build_inside(layer: tf_keras.layers.Layer, input_shape: Any = None) -> None:
    """Makes a sublayer's weights, under its name, without the cost of tracing a call of it.

    Args:
      layer: part of the layer that is being built.
      input_shape: of its input; None for a layer that knows all it needs from its constructor.
    """
    with tf.name_scope(layer.name):
        layer.build(input_shape)


def build_path(input_shape: tf.TensorShape, *layers: tf_keras.layers.Layer) -> tf.TensorShape:
    """Makes the weights of layers that follow each other; returns the shape of the last one's output."""
    for layer in layers:
        build_inside(layer, input_shape)
        input_shape = layer.compute_output_shape(input_shape)
    return input_shape


def register(layer_class: type) -> type:
    """Registers a layer under official_vision>ClassName, so that saved models find it."""
    return tf_keras.saving.register_keras_serializable(PACKAGE)(layer_class)
