"""Checks of requests, in Python before a file is run, and in the exported graph.

A graph's signature refuses a wrong dtype and, in TensorFlow, a wrong rank. Empty clips, streams of
unequal sizes and NaN would pass it: the functions for graphs name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.errors import UserError

_AXES = ("batch", "time", "height", "width")


def check_streams(
    streams: Mapping[str, Any], signature: Mapping[str, tf.TensorSpec]
) -> dict[str, np.ndarray]:
    """Refuses a request that the network can't process.

    Args:
      streams: what was sent: arrays or tensors by name. Numbers of other dtypes are cast where no value changes.
      signature: of each stream, as modeling.inputs.input_signature gives it.

    Returns:
      The streams as numpy arrays.

    Raises:
      UserError: a stream is missing or unknown, has values that its dtype lacks, another rank or number of
        channels, is empty, does not have the sizes of the others, or has a NaN.
    """
    missing, unknown = set(signature) - set(streams), set(streams) - set(signature)
    if missing or unknown:
        raise UserError(
            f"A request must hold the streams {', '.join(signature)}. "
            f"Received: {', '.join(sorted(streams)) or 'none'}. "
            + (f"Add {', '.join(sorted(missing))}." if missing else "Leave the others out.")
        )
    values = {name: _array(name, x, signature[name]) for name, x in streams.items()}
    for name, spec in signature.items():
        _check_stream(name, values[name], spec)
    first = next(iter(signature))
    for name, value in values.items():
        if value.shape[:4] != values[first].shape[:4]:
            raise UserError(
                f"Streams must agree in {', '.join(_AXES)}. Received: {first} "
                f"{list(values[first].shape)} and {name} {list(value.shape)}. Send one clip's streams."
            )
    return values


def _array(name: str, value: Any, spec: tf.TensorSpec) -> np.ndarray:
    """Returns the stream as an array, of the dtype that it must have where that changes no value."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UserError(
            f"{name} must be one array. Received: {type(value).__name__} ({error}). Send equal rows."
        ) from error
    if array.dtype.kind not in "iuf" or array.dtype == spec.dtype.as_numpy_dtype:
        return array
    if spec.dtype.is_floating:  # of which no more than precision is lost
        return array.astype(spec.dtype.as_numpy_dtype)
    with np.errstate(invalid="ignore"):  # NaN, which then differs
        cast = array.astype(spec.dtype.as_numpy_dtype)
    return cast if np.array_equal(cast, array) else array


def _check_stream(name: str, value: np.ndarray, spec: tf.TensorSpec) -> None:
    axes = [*_AXES, *map(str, spec.shape[4:])]
    expected = f"{name} must be {spec.dtype.name} [{', '.join(axes)}]"
    if value.dtype != spec.dtype.as_numpy_dtype:
        raise UserError(f"{expected}. Received: {value.dtype} of other values. Convert it.")
    if not spec.shape.is_compatible_with(value.shape):
        raise UserError(f"{expected}. Received: {list(value.shape)}. Reshape it.")
    if 0 in value.shape:
        raise UserError(
            f"{expected} with at least one of each. Received: {list(value.shape)}. Send a whole clip."
        )
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        raise UserError(f"{expected} of finite numbers. Received: NaN or infinity. Replace it.")


def checked_in_graph(streams: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the same for a graph that is exported: assertions that name the input and what was expected.

    Args:
      streams: as the network is fed.

    Returns:
      The streams, which exist once the assertions pass: a server returns an error that names the
      input (InvalidArgument) and goes on with the next request.
    """
    first = next(iter(streams))
    sizes = tf.shape(streams[first])[:4]
    checks = []
    for name, value in streams.items():
        shape = tf.shape(value)
        axes = ", ".join([*_AXES, *map(str, value.shape[4:])])
        rule = f"{name} must be {value.dtype.name} [{axes}]"
        checks.append(
            tf.debugging.Assert(
                tf.reduce_all(shape > 0), [f"{rule} with at least one of each. Received:", shape]
            )
        )
        if name != first:
            agree = tf.reduce_all(tf.equal(shape[:4], sizes))
            data = [f"{name} must have the batch, time, height and width of {first}. Received:"]
            checks.append(tf.debugging.Assert(agree, [*data, shape, f"and {first}:", sizes]))
        if value.dtype.is_floating:
            finite = tf.reduce_all(tf.math.is_finite(value))
            checks.append(
                tf.debugging.Assert(
                    finite, [f"{rule} of finite numbers. Received: NaN or infinity"]
                )
            )
    with tf.control_dependencies([check for check in checks if check is not None]):
        return {name: tf.identity(value) for name, value in streams.items()}


def checked_average(average: tf.Tensor) -> tf.Tensor:
    """Refuses features for the head, float32 [batch, time, channels], that are empty or not finite.

    Returns:
      The features, which exist once the assertion passes.
    """
    fine = tf.reduce_all(tf.math.is_finite(average)) & (tf.size(average) > 0)
    rule = (
        "head must be finite numbers, [batch, time, channels] with at least one of each. Received:"
    )
    check = tf.debugging.Assert(fine, [rule, tf.shape(average)])
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(average)


def checked_encoded(frames: tf.Tensor) -> tf.Tensor:
    """Refuses frames that are not whole JPEG or PNG files, by their place, before any is decoded.

    Args:
      frames: string [batch, time].

    Returns:
      The frames, which exist once the assertion passes.
    """
    jpeg = _starts(frames, b"\xff\xd8\xff") & _ends(frames, b"\xff\xd9")
    png = _starts(frames, b"\x89PNG\r\n\x1a\n") & _ends(frames, b"IEND\xaeB`\x82")
    broken = tf.where(~(jpeg | png))
    checks = [
        tf.debugging.Assert(
            tf.size(frames) > 0,
            [
                "frames must be string [batch, time] with at least one of each. Received:",
                tf.shape(frames),
            ],
        ),
        tf.debugging.Assert(
            tf.equal(tf.shape(broken)[0], 0),
            [
                "frames must be whole JPEG or PNG files. Received one that is none at [batch, time]",
                broken,
            ],
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(frames)


def _starts(frames: tf.Tensor, magic: bytes) -> tf.Tensor:
    # A file that is shorter than what is cut out of it would be an error without a name.
    padded = tf.strings.join([frames, tf.constant(b"\0" * len(magic))])
    return tf.equal(tf.strings.substr(padded, 0, len(magic)), magic)


def _ends(frames: tf.Tensor, magic: bytes) -> tf.Tensor:
    padded = tf.strings.join([tf.constant(b"\0" * len(magic)), frames])
    return tf.equal(tf.strings.substr(padded, -len(magic), len(magic)), magic)
