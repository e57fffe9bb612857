"""Object ids from a user's network: a SavedModel, a TFLite file or an ONNX file.

`PrepareSpec.object_*` describe what it wants to be fed (network_input.py) and what it gives (network_output.py,
boxes.py). SavedModels and TFLite files take one frame, [1, height, width, 3].
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from official_vision.data.objects.network_input import (
    NetworkInput,
    Placement,
    check_settings,
    fed,
    placed,
)
from official_vision.data.objects.network_output import class_count, ids_of
from official_vision.data.objects.onnx_network import load_onnx
from official_vision.errors import UserError, reason_of
from official_vision.specs import PrepareSpec

NETWORK_KINDS = ("saved_model", "tflite", "onnx")
_SIGNATURE = "serving_default"
Runner = Callable[[np.ndarray], Mapping[str, np.ndarray]]


class SegmentationNetwork:
    """A network with its preprocessing and the meaning of its output.

    Attributes:
      batch: frames that go through it together.
    """

    def __init__(self, run: Runner, network_input: NetworkInput, spec: PrepareSpec):
        """Args:
        run: input -> outputs by name.
        network_input: what the input is.
        spec: the preprocessing, and what the outputs mean.
        """
        self._run = run
        self._input = network_input
        self._spec = spec
        self.batch = network_input.batch or spec.object_batch

    def __call__(self, rgb: np.ndarray) -> np.ndarray:
        """Returns the uint8 ids [height, width] of a frame, uint8 [height, width, 3]; errors as of `many`."""
        return self.many([rgb])[0]

    def many(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Finds the ids of frames, as many at once as the network takes.

        Args:
          frames: uint8 rgb [height, width, 3].

        Returns:
          uint8 ids [height, width] of each.

        Raises:
          UserError: the network fails, or gives what the settings don't name.
        """
        ids = []
        # A video's size may change within it.
        for size, alike in itertools.groupby(frames, key=lambda rgb: rgb.shape[:2]):
            place = placed(size, self._input, self._spec)
            while part := list(itertools.islice(alike, self.batch)):
                ids += [
                    ids_of(outputs, place, self._spec, self._input.channels_first)
                    for outputs in self._outputs(part, place)
                ]
        return ids

    def class_count(self, rgb: np.ndarray) -> int | None:
        """Returns the number of classes that it scores; None where it names ids alone. Errors as of `many`."""
        place = placed(rgb.shape[:2], self._input, self._spec)
        (outputs,) = self._outputs([rgb], place)
        return class_count(outputs, place, self._spec, self._input.channels_first)

    def _outputs(
        self, frames: Sequence[np.ndarray], place: Placement
    ) -> list[Mapping[str, np.ndarray]]:
        """Returns the outputs of each frame of one size, with a batch axis of one."""
        # Where the file fixes how many, the last one fills up.
        missing = (self._input.batch or len(frames)) - len(frames)
        outputs = self._run(fed([*frames, *[frames[-1]] * missing], place, self._input, self._spec))
        count = len(frames) + missing
        if count == 1:
            return [outputs]
        for name, value in outputs.items():
            if np.ndim(value) == 0 or len(value) != count:
                raise UserError(
                    f"A network gives one result per frame. Received: output {name!r} of shape {np.shape(value)} for "
                    f"{count} frames. Set PrepareSpec.object_batch = 1."
                )
        return [
            {name: value[index : index + 1] for name, value in outputs.items()}
            for index in range(len(frames))
        ]


@functools.cache
def network(spec: PrepareSpec) -> SegmentationNetwork:
    """Returns the process's network: loaded once for all videos.

    Raises:
      UserError: there is no network with one input at the path.
    """
    check_settings(spec)
    kind, _, path = spec.objects.partition(":")
    try:
        if kind == "onnx":
            run, network_input = load_onnx(path, spec)
        else:
            run, dtype = (_saved_model if kind == "saved_model" else _tflite)(path)
            network_input = NetworkInput(np.dtype(dtype))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"PrepareSpec.objects must name a segmentation network. Received: {spec.objects!r} ({reason_of(error)}). "
            "Mend the path."
        ) from error
    return SegmentationNetwork(run, network_input, spec)


def _saved_model(path: str) -> tuple[Runner, np.dtype]:
    # Imported here: other sources need no TensorFlow in their decoding processes.
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    signature = loaded.signatures[_SIGNATURE]
    (name, declared), *others = signature.structured_input_signature[1].items()
    _refuse_further_inputs(path, others)

    def run(frame: np.ndarray, _loaded: object = loaded) -> Mapping[str, np.ndarray]:
        outputs = signature(**{name: tf.constant(frame)})
        return {key: value.numpy() for key, value in outputs.items()}

    return run, declared.dtype.as_numpy_dtype


def _tflite(path: str) -> tuple[Runner, np.dtype]:
    from ai_edge_litert.interpreter import Interpreter

    if not Path(path).is_file():
        raise ValueError("there is no such file")
    interpreter = Interpreter(model_path=path, num_threads=1)
    declared, *others = interpreter.get_input_details()
    _refuse_further_inputs(path, others)

    scale, zero = declared["quantization"]
    quantised = declared["dtype"] == np.int8

    def run(frame: np.ndarray) -> Mapping[str, np.ndarray]:
        if quantised:
            # Fully quantised networks name the scale and the zero point of their integers.
            frame = np.clip(np.rint(frame / scale) + zero, -128, 127).astype(np.int8)
        if tuple(interpreter.get_input_details()[0]["shape"]) != frame.shape:
            interpreter.resize_tensor_input(declared["index"], frame.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(declared["index"], frame)
        interpreter.invoke()
        return {
            detail["name"]: interpreter.get_tensor(detail["index"])
            for detail in interpreter.get_output_details()
        }

    return run, np.float32 if quantised else declared["dtype"]


def _refuse_further_inputs(path: str, others: list) -> None:
    if others:
        raise UserError(
            f"A segmentation network takes one input, a frame. Received: {path}, which takes {len(others) + 1}. "
            "Export it with the frame as its only input."
        )
