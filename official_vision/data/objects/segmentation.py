"""Object ids from a user's segmentation network, a SavedModel or a TFLite file.

The network takes one frame, [1, height, width, 3], and gives scores [1, height, width, classes] or ids
[1, height, width]. `PrepareSpec.object_*` describe what it wants to be fed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from official_vision.architecture.neutral_values import UNLABELLED
from official_vision.errors import UserError, nearest
from official_vision.specs import PrepareSpec

_SIGNATURE = "serving_default"
Runner = Callable[[np.ndarray], Mapping[str, np.ndarray]]


class SegmentationNetwork:
    """A network with its preprocessing and the meaning of its output."""

    def __init__(self, run: Runner, dtype: np.dtype, spec: PrepareSpec):
        """Args:
        run: input [1, height, width, 3] -> outputs by name.
        dtype: of the input.
        spec: the preprocessing.
        """
        self._run = run
        self._dtype = np.dtype(dtype)
        self._spec = spec

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Segments a frame.

        Args:
          rgb: uint8 [height, width, 3].

        Returns:
          uint8 ids [height, width], by the nearest pixel of the network's output.

        Raises:
          UserError: an output that is neither scores nor ids.
        """
        ids = self._ids(self._run(self._fed(rgb)))
        height, width = rgb.shape[:2]
        return cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST)

    def _fed(self, rgb: np.ndarray) -> np.ndarray:
        spec = self._spec
        if spec.object_input_size is not None:
            side = spec.object_input_size
            rgb = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_LINEAR)
        if spec.object_channel_order == "bgr":
            rgb = rgb[..., ::-1]
        if self._dtype == np.uint8:
            return np.ascontiguousarray(rgb[np.newaxis])
        mean, deviation = np.array(spec.object_mean), np.array(spec.object_deviation)
        scaled = (rgb / spec.object_scale - mean) / deviation
        return scaled[np.newaxis].astype(self._dtype)

    def _ids(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        spec = self._spec
        name = spec.object_output or _only(outputs)
        if name not in outputs:
            raise UserError(
                f"PrepareSpec.object_output must be an output of the network. Received: {name!r}. "
                f"{nearest(name, outputs)}"
            )
        predicted = np.asarray(outputs[name])[0]
        if predicted.ndim == 3 and predicted.shape[-1] > 1:
            predicted = predicted.argmax(axis=-1)
        predicted = predicted[..., 0] if predicted.ndim == 3 else predicted
        if predicted.ndim != 2:
            raise UserError(
                "A segmentation network gives scores [1, height, width, classes] or ids [1, height, width]. "
                f"Received: output {name!r} of shape {np.asarray(outputs[name]).shape}."
            )
        if np.any(predicted != np.rint(predicted)):
            raise UserError(
                "Ids of a segmentation network are whole numbers; scores have a channel per class. "
                f"Received: output {name!r} of shape {np.asarray(outputs[name]).shape} with fractions."
            )
        ids = predicted.astype(np.int64) + spec.object_id_offset
        unlabelled = (ids < 0) | (ids > UNLABELLED)
        if spec.object_unlabelled_id is not None:
            unlabelled |= predicted == spec.object_unlabelled_id
        return np.where(unlabelled, UNLABELLED, ids).astype(np.uint8)


@functools.cache
def network(spec: PrepareSpec) -> SegmentationNetwork:
    """Returns the process's network: loaded once for all videos.

    Raises:
      UserError: there is no network with one input at the path.
    """
    for name in ("object_mean", "object_deviation"):
        if len(getattr(spec, name)) not in (1, 3):
            raise UserError(
                f"PrepareSpec.{name} has one value for all channels, or three. "
                f"Received: {getattr(spec, name)!r}."
            )
    kind, _, path = spec.objects.partition(":")
    load = _saved_model if kind == "saved_model" else _tflite
    try:
        run, dtype = load(path)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"PrepareSpec.objects must name a segmentation network. Received: {spec.objects!r} ({reason})."
        ) from error
    return SegmentationNetwork(run, dtype, spec)


def _saved_model(path: str) -> tuple[Runner, np.dtype]:
    # Imported here: other sources need no TensorFlow in their decoding processes.
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    signature = loaded.signatures[_SIGNATURE]
    (name, fed), *others = signature.structured_input_signature[1].items()
    _refuse_further_inputs(path, others)

    def run(frame: np.ndarray, _loaded: object = loaded) -> Mapping[str, np.ndarray]:
        outputs = signature(**{name: tf.constant(frame)})
        return {key: value.numpy() for key, value in outputs.items()}

    return run, fed.dtype.as_numpy_dtype


def _tflite(path: str) -> tuple[Runner, np.dtype]:
    from ai_edge_litert.interpreter import Interpreter

    if not Path(path).is_file():
        raise ValueError("there is no such file")
    interpreter = Interpreter(model_path=path, num_threads=1)
    fed, *others = interpreter.get_input_details()
    _refuse_further_inputs(path, others)

    scale, zero = fed["quantization"]
    quantised = fed["dtype"] == np.int8

    def run(frame: np.ndarray) -> Mapping[str, np.ndarray]:
        if quantised:
            # Fully quantised networks name the scale and the zero point of their integers.
            frame = np.clip(np.rint(frame / scale) + zero, -128, 127).astype(np.int8)
        if tuple(interpreter.get_input_details()[0]["shape"]) != frame.shape:
            interpreter.resize_tensor_input(fed["index"], frame.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(fed["index"], frame)
        interpreter.invoke()
        return {
            detail["name"]: interpreter.get_tensor(detail["index"])
            for detail in interpreter.get_output_details()
        }

    return run, np.float32 if quantised else fed["dtype"]


def _refuse_further_inputs(path: str, others: list) -> None:
    if others:
        raise UserError(
            f"A segmentation network takes one input, a frame. Received: {path}, which takes {len(others) + 1}."
        )


def _only(outputs: Mapping[str, np.ndarray]) -> str:
    if len(outputs) > 1:
        raise UserError(
            "PrepareSpec.object_output must name one of a network's several outputs. "
            f"Received: '', the outputs are {', '.join(sorted(outputs))}."
        )
    return next(iter(outputs))
