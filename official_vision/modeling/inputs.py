"""What the network is fed: the streams, their shapes, normalisation and neutral values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from official_vision.architecture.graph import Architecture
from official_vision.architecture.streams import NEUTRAL
from official_vision.specs import ModelSpec

STEM_CHANNELS = {"rgb": 3, "flow": 2}  # by a stem's kind; the object stem makes channels of ids
_SHAPES = {"rgb": (3, tf.uint8), "flow": (2, tf.float32), "objects": (None, tf.uint8)}


def streams_of(architecture: Architecture, spec: ModelSpec) -> tuple[str, ...]:
    """Returns the streams that the model must be fed, in the order rgb, flow, objects.

    Flow that the model computes itself is not fed, and asks for rgb.
    """
    wanted = set(architecture.streams)
    if spec.flow_source == "computed" and "flow" in wanted:
        wanted = (wanted - {"flow"}) | {"rgb"}
    return tuple(name for name in _SHAPES if name in wanted)


def input_signature(
    streams: tuple[str, ...],
    batch: int | None = None,
    frames: int | None = None,
    size: int | None = None,
) -> dict[str, tf.TensorSpec]:
    """Returns each stream's TensorSpec: uint8 rgb and objects, float32 flow; None leaves a size free."""
    signature = {}
    for name in streams:
        channels, dtype = _SHAPES[name]
        shape = [batch, frames, size, size] + ([channels] if channels else [])
        signature[name] = tf.TensorSpec(shape, dtype, name)
    return signature


def normalise_rgb(
    rgb: tf.Tensor,
    mean: float | Sequence[float],
    deviation: float | Sequence[float],
    dtype: tf.DType,
) -> tf.Tensor:
    """Computes (rgb / 255 - mean) / deviation.

    Args:
      rgb: [..., 3], 0 to 255, uint8 or float.
      mean, deviation: of values in 0..1, one for all colours or one per colour.
      dtype: of the result.
    """
    mean, deviation = np.asarray(mean, np.float64), np.asarray(deviation, np.float64)
    factor, offset = (1 / (255 * deviation)).astype(np.float32), mean / deviation
    return tf.cast(tf.cast(rgb, tf.float32) * factor - offset.astype(np.float32), dtype)


def blank_stream(features: Mapping[str, tf.Tensor], name: str) -> dict[str, tf.Tensor]:
    """Replaces one stream by its neutral value: mid grey, no motion, unlabelled pixels."""
    blanked = tf.fill(tf.shape(features[name]), tf.cast(NEUTRAL[name], features[name].dtype))
    return {**features, name: blanked}
