"""The network's inputs: the streams, their shapes, normalisation and neutral values."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.architecture.graph import Architecture
from official_vision.architecture.neutral_values import NEUTRAL
from official_vision.errors import UserError
from official_vision.specs import ModelSpec

_SHAPES = {"rgb": (3, tf.uint8), "flow": (2, tf.float32), "objects": (None, tf.uint8)}


def streams_of(architecture: Architecture, spec: ModelSpec) -> tuple[str, ...]:
    """Returns the streams that the model must be fed, in the order rgb, flow, objects.

    Flow that the model computes is not fed, and requires rgb.
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


def as_fed(
    features: Mapping[str, Any], streams: tuple[str, ...], known: Collection[str] = ()
) -> dict[str, tf.Tensor]:
    """Casts streams to what the network reads, where that changes no value; other streams are left as they are.

    Values are looked at where there are any, in eager tensors and arrays; in a graph wrong object ids end it.

    Args:
      features: by stream: rgb of any numbers in 0..255, flow of any numbers, objects of whole numbers in 0..255.
      streams: that the network needs.
      known: streams that may be missing.

    Raises:
      UserError: a stream is missing, has another rank or number of channels, is no array of numbers, or has
        values of another range.
    """
    if not isinstance(features, Mapping):
        raise UserError(
            f"A network is fed a dict of the streams {', '.join(streams)}. Received: {type(features).__name__}. "
            "Name each stream."
        )
    missing = [name for name in streams if name not in features and name not in known]
    if missing:
        raise UserError(
            f"A network needs the streams {', '.join(streams)}. Received: {', '.join(features) or 'none'}. "
            f"Add {', '.join(missing)}."
        )
    cast = {"rgb": _rgb_as_fed, "flow": _flow_as_fed, "objects": _ids_as_fed}
    return {
        name: cast[name](_of_rank(name, x)) if name in streams else x
        for name, x in features.items()
    }


def _of_rank(name: str, value: Any) -> tf.Tensor:
    channels, _ = _SHAPES[name]
    axes = ["batch", "time", "height", "width", *([str(channels)] if channels else [])]
    rule = f"{name} must be numbers, [{', '.join(axes)}]."
    try:
        x = tf.convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{rule} Received: {type(value).__name__}. Send one array.") from error
    wanted = tf.TensorShape([None] * 4 + ([channels] if channels else []))
    if not (x.dtype.is_integer or x.dtype.is_floating) or not wanted.is_compatible_with(x.shape):
        raise UserError(f"{rule} Received: {x.dtype.name} {x.shape}. Convert or reshape it.")
    return x


def _rgb_as_fed(x: tf.Tensor) -> tf.Tensor:
    if x.dtype == tf.uint8 or not tf.executing_eagerly() or not tf.size(x):
        return x
    low, high = float(tf.reduce_min(x)), float(tf.reduce_max(x))
    scaled = 0 < high <= 1 and x.dtype.is_floating
    if not (low >= 0 and high <= 255) or scaled:
        remedy = "Multiply it by 255." if scaled and low >= 0 else "Undo what scaled it."
        raise UserError(
            f"rgb must be 0 to 255: the network scales it. Received: {low:g} to {high:g}. {remedy}"
        )
    return x


def _flow_as_fed(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32) if x.dtype.is_integer or x.dtype == tf.float64 else x


def _ids_as_fed(x: tf.Tensor) -> tf.Tensor:
    if x.dtype == tf.uint8:
        return x
    ids = tf.cast(x, tf.uint8)
    fits = tf.reduce_all(tf.equal(tf.cast(ids, x.dtype), x))
    rule = "Object ids must be whole numbers from 0 to 255, of which 255 is unlabelled"
    if not tf.executing_eagerly():
        with tf.control_dependencies([tf.debugging.Assert(fits, [rule])]):
            return tf.identity(ids)
    if not fits:
        wrong = tf.boolean_mask(x, tf.not_equal(tf.cast(ids, x.dtype), x))[0]
        raise UserError(f"{rule}. Received: {wrong.numpy()} ({x.dtype.name}). Map others to 255.")
    return ids


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
