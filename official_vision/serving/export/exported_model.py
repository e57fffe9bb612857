"""One callable for every exported file: streams of clips become scores, by TensorFlow or by TFLite."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision import formats
from official_vision.errors import UserError, reason_of
from official_vision.modeling.inputs import input_signature
from official_vision.serving.explain.gate_openings import GateValues, with_values
from official_vision.serving.export.converters import onnx_file, stablehlo_file
from official_vision.serving.export.description import (
    FEATURES_SIGNATURE,
    HEAD_INPUT,
    HEAD_SIGNATURE,
    STREAMS_SIGNATURE,
    Description,
    gate_name,
    node_name,
    read_description,
    version_folder,
)
from official_vision.serving.export.request_checks import check_streams

GATES_SIGNATURE = "gates"
STEMS_SIGNATURE, FROM_STEMS_SIGNATURE = "frame_stems", "from_stems"
Inference = Callable[[Mapping[str, Any]], dict[str, np.ndarray]]
_Shapes = dict[str, tuple[int, ...]]  # of each stream, batch included
_OUTPUTS = ("scores", "frame_scores")
_LOGITS = ("logits", "frame_logits")


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """An exported file, loaded.

    Attributes:
      path: of the version's folder, or the .tflite, .onnx or .stablehlo file.
      description: the content of its model.json.
      frames: numbers per clip that the file takes (TFLite, ONNX, StableHLO); empty where it takes any.
      infer: features -> scores [batch, classes] and frame_scores [batch, time, classes].
      infer_gates: features -> each gate's multipliers by its name; None where the file lacks them.
      infer_stems: flow -> what its stems make of each frame, by the description's names; None where the file
        shares no stems.
      infer_from_stems: these and the other streams -> as `infer`.
      infer_features: features -> what the head reads, the head's logits and frame_logits, and the averages of the
        description's feature nodes; None where the file lacks them.
      infer_head: what the head reads -> as `infer`.
    """

    path: Path
    description: Description
    frames: tuple[int, ...]
    infer: Inference
    infer_gates: Inference | None
    infer_stems: Callable[[Mapping[str, Any]], dict[str, tf.Tensor]] | None = None
    infer_from_stems: Inference | None = None
    infer_features: Inference | None = None
    infer_head: Inference | None = None

    def __call__(self, **streams: Any) -> dict[str, np.ndarray]:
        """Computes the scores of one request; one that fails leaves the next one untouched.

        Args:
          **streams: rgb uint8 [batch, time, height, width, 3] in 0..255, flow float32 [batch, time,
            height, width, 2] in pixels per frame, objects uint8 ids [batch, time, height, width]: those
            that the description names.

        Returns:
          scores, float32 [batch, classes], and frame_scores, float32 [batch, time, classes].

        Raises:
          UserError: a stream is missing, unknown, or not as above, or the file can't compute it.
        """
        return self._checked(self.infer, streams)

    def gates(self, **streams: Any) -> list[GateValues]:
        """Returns how far each gated connection opens on one clip, in the network's order.

        Args:
          **streams: as in `__call__`, with a batch axis of 1.

        Raises:
          UserError: as `__call__`, or the file lacks gates.
        """
        if self.infer_gates is None:
            raise UserError(
                "Gates are in a SavedModel that official-vision export wrote of a gated network. "
                f"Received: {self.path}, which has none. Export again, or name the SavedModel's folder."
            )
        opened = self._checked(self.infer_gates, streams)
        return [with_values(gate, opened[gate_name(gate)][0]) for gate in self.description.gates]

    def features(self, **streams: Any) -> dict[str, np.ndarray]:
        """Computes what the file has before its scores, for each frame of clips.

        Args:
          **streams: as in `__call__`.

        Returns:
          float32: head [batch, time, channels], which the head reads; logits [batch, classes] and frame_logits
          [batch, time, classes]; and [batch, time, channels] of each feature node, by the names of `node_name`.

        Raises:
          UserError: as `__call__`, or the file lacks features.
        """
        if self.infer_features is None:
            raise UserError(
                "Features are in a SavedModel that official-vision export wrote. "
                f"Received: {self.path}, which has none. Name the SavedModel's folder, or the run's."
            )
        return self._checked(self.infer_features, streams)

    def head(self, average: Any) -> dict[str, np.ndarray]:
        """Computes scores, as a call does, from what the head reads.

        Args:
          average: float32 [batch, time, channels], `head` of `features`.

        Raises:
          UserError: the file can't compute it, or lacks features.
        """
        if self.infer_head is None:
            raise UserError(
                "A head is in a SavedModel that official-vision export wrote. "
                f"Received: {self.path}, which has none. Name the SavedModel's folder."
            )
        return self._guarded(self.infer_head, {HEAD_INPUT: np.asarray(average, np.float32)})

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of what `frame_stems` returns; empty where overlapping clips can't share any."""
        return self.description.shared_stems if self.infer_stems else ()

    def frame_stems(self, flow: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the outputs of flow stems for each frame, [batch, time, height, width, channels] by name.

        Args:
          flow: float32 [batch, time, height, width, 2] in pixels per frame.

        Raises:
          UserError: the file can't compute them.
        """
        return self._guarded(self.infer_stems, {"flow": flow})

    def from_stems(self, **fed: Any) -> dict[str, np.ndarray]:
        """Computes scores as a call does, from all streams but flow and the outputs of `frame_stems`.

        Raises:
          UserError: the file can't compute it.
        """
        return self._guarded(self.infer_from_stems, fed)

    def _checked(self, infer: Inference, streams: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return self._guarded(
            infer, check_streams(streams, input_signature(self.description.streams))
        )

    def _guarded(self, infer: Callable, values: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return infer(values)
        except UserError:  # a ValueError with a clear message
            raise
        except (tf.errors.OpError, ValueError, TypeError, RuntimeError) as error:
            shapes = {name: tuple(values[name].shape) for name in values}
            raise UserError(
                f"{self.path} must be fed clips that it can compute. Received: {shapes} "
                f"({reason_of(error)}). Feed the size that it was exported for."
            ) from error


def load_exported_model(path: str | os.PathLike) -> ExportedModel:
    """Loads an exported version's SavedModel, or one of the other models beside it.

    Args:
      path: a .tflite, .onnx or .stablehlo file in a version's folder, a version's folder, or the folder of versions,
        whose greatest is taken.

    Raises:
      UserError: no exported file lies there, or it is not whole.
    """
    path = Path(path)
    if path.suffix == ".tflite":
        return _single_file(path, _load_tflite)
    if path.suffix == ".onnx":
        return _single_file(path, lambda each: [onnx_file.load(each)])
    if path.suffix == ".stablehlo":
        return _single_file(path, lambda each: [_one_by_one(*stablehlo_file.load(each))])
    folder = version_folder(path)
    description = read_description(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
        infer = _signature_function(loaded, STREAMS_SIGNATURE, _OUTPUTS)
    except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
        raise _not_whole(folder, error) from error
    parts: dict[str, Any] = {"infer_gates": None}
    gates = [gate_name(gate) for gate in description.gates]
    if gates and GATES_SIGNATURE in loaded.signatures:
        parts["infer_gates"] = _signature_function(loaded, GATES_SIGNATURE, gates)
    if FEATURES_SIGNATURE in loaded.signatures:
        made = (HEAD_INPUT, *_LOGITS, *map(node_name, description.feature_nodes))
        parts["infer_features"] = _signature_function(loaded, FEATURES_SIGNATURE, made)
        parts["infer_head"] = _signature_function(loaded, HEAD_SIGNATURE, _OUTPUTS)
    if description.shared_stems and STEMS_SIGNATURE in loaded.signatures:
        parts["infer_stems"] = lambda fed: loaded.signatures[STEMS_SIGNATURE](**fed)
        parts["infer_from_stems"] = _signature_function(loaded, FROM_STEMS_SIGNATURE, _OUTPUTS)
    return ExportedModel(folder, description, (), infer, **parts)


def _signature_function(loaded: Any, signature: str, names: Sequence[str]) -> Inference:
    """Returns a signature as a function; `names` are the outputs that it returns."""
    serve = loaded.signatures[signature]

    def infer(streams: Mapping[str, Any]) -> dict[str, np.ndarray]:
        # `loaded` owns the weights: the function alone would not keep them.
        outputs = serve(**{name: tf.constant(x) for name, x in streams.items()})
        return {name: outputs[name].numpy() for name in names if loaded is not None}

    return infer


def _single_file(
    path: Path, load: Callable[[Path], list[tuple[Inference, _Shapes]]]
) -> ExportedModel:
    """Loads a file by a function that returns, for each number of frames, how it infers and its streams' shapes."""
    description = _described(path)
    try:
        by_frames = {_frames(shapes): (run, shapes) for run, shapes in load(path)}
    except ValueError as error:
        raise _not_whole(path, error) from error
    frames = tuple(sorted(by_frames))

    def infer(streams: Mapping[str, Any]) -> dict[str, np.ndarray]:
        received = _frames({name: x.shape for name, x in streams.items()})
        if received not in frames and len(frames) > 1:
            raise UserError(
                f"Clips must have {either(frames)} frames for {path.name}. Received: {received}. Cut the clip."
            )
        run, shapes = by_frames.get(received, by_frames[frames[0]])
        _check_shapes(path, streams, shapes)
        return run({name: streams[name] for name in shapes})

    return ExportedModel(path, description, frames, infer, None)


def _frames(shapes: Mapping[str, Sequence[int]]) -> int:
    return int(next(iter(shapes.values()))[1])


def either(numbers: Sequence[int]) -> str:
    """Returns numbers as text: "8, 16 or 32"."""
    *others, last = map(str, numbers)
    return f"{', '.join(others)} or {last}" if others else last


def _one_by_one(run: Inference, shapes: _Shapes) -> tuple[Inference, _Shapes]:
    """Makes a function of any batch from one of a single clip."""

    def infer(streams: Mapping[str, Any]) -> dict[str, np.ndarray]:
        clips = range(len(next(iter(streams.values()))))
        outputs = [run({name: x[[number]] for name, x in streams.items()}) for number in clips]
        return {name: np.concatenate([output[name] for output in outputs]) for name in _OUTPUTS}

    return infer, shapes


def _described(path: Path) -> Description:
    if not path.is_file():
        raise UserError(
            f"--model names a file that official-vision export has written. Received: {path}, where there is "
            f"none. Export with --{path.suffix.removeprefix('.')} first."
        )
    return read_description(version_folder(path.parent))


def _load_tflite(path: Path) -> list[tuple[Inference, _Shapes]]:
    # Imported here: the SavedModel needs no TFLite.
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN
    if _refuses_xnnpack(path):
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=resolver)
        signatures = interpreter.get_signature_list()
        if not signatures:
            raise ValueError("no signature")
        return [_signature_runner(interpreter.get_signature_runner(name)) for name in signatures]
    except RuntimeError as error:
        raise ValueError(str(error)) from error


def _signature_runner(runner: Any) -> tuple[Inference, _Shapes]:
    shapes = {k: tuple(v["shape"]) for k, v in runner.get_input_details().items()}
    return _one_by_one(lambda clip: runner(**clip), shapes)


def _check_shapes(
    path: Path, streams: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuses clips of another size than the file's: TFLite would read beyond its memory or report less."""
    for name, shape in shapes.items():
        if streams[name].shape[1:] != shape[1:]:
            raise UserError(
                f"{name} must be [batch, {', '.join(map(str, shape[1:]))}] for {path.name}. "
                f"Received: {list(streams[name].shape)}. Cut and resize the clip."
            )


def _refuses_xnnpack(path: Path) -> bool:
    """Returns whether export found that the file crashes with TFLite's fast kernels."""
    report = path.parent / "parity.json"
    notes = formats.PARITY.read(report, {"notes": list})["notes"] if report.is_file() else []
    return any(str(note).startswith(f"{path.name} runs without XNNPACK") for note in notes)


def _not_whole(path: Path, error: Exception) -> UserError:
    return UserError(
        f"An exported file must be whole. Received: {path} ({reason_of(error)}). Export again."
    )
