"""StableHLO files: a network of one clip as a program for JAX and other XLA runtimes, with its weights beside it.

The weights are inputs of the program, not constants in it: as constants they would be text first, several times their
size, and a compiler would try to compute with them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision import formats
from official_vision.errors import UserError, reason_of
from official_vision.modeling.inference.folding import for_tflite
from official_vision.modeling.network import AssembleNet
from official_vision.serving.export.converters.clip_function import ClipFunction
from official_vision.serving.export.converters.program import Program, Value, products, to_program
from official_vision.serving.export.held_out_clips import HeldOutClips
from official_vision.serving.isolated.scoring import stablehlo_program

STABLEHLO_FILE = "model.stablehlo"
# Of the files beside it: its name with these behind.
SIGNATURE, WEIGHTS = ".json", ".npz"
_CLIP_AXES = ("batch", "time", "height", "width", "channels")
_AXES = {"scores": ("batch", "classes"), "frame_scores": ("batch", "time", "classes")}
_RESULTS = tuple(_AXES)


def write(path: Path, model: AssembleNet, clips: HeldOutClips) -> int:
    """Writes a network's program, its weights and its signature.

    Args:
      path: of the program; weights and signature lie beside it.
      model: from serving.inference; its plain form is converted, in float32.
      clips: their streams, frames and size are the program's, which takes one clip at a time.

    Returns:
      Bytes of the three files.

    Raises:
      UserError: XLA can't express the network.
    """
    program = _program(model, clips)
    streams = [value for value in program.inputs if value.role == "batch"]
    weights = dict(zip(program.inputs, program.initial, strict=True))
    for stream in streams:
        del weights[stream]
    path.write_bytes(program.artifact)
    with _beside(path, WEIGHTS).open("wb") as file:
        np.savez(file, **{value.name: array for value, array in weights.items()})
    signature = {
        "file": path.name,
        "weights_file": _beside(path, WEIGHTS).name,
        "inputs": [_described(value, _CLIP_AXES) for value in streams],
        "weights": [_described(value) for value in weights],
        "results": [_described(value, _AXES[value.name]) for value in program.results],
    }
    formats.STABLEHLO.write(_beside(path, SIGNATURE), signature)
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))


def load(
    path: str | os.PathLike,
) -> tuple[Callable[[Mapping[str, Any]], dict[str, np.ndarray]], dict[str, tuple[int, ...]]]:
    """Loads a program, and compiles it for the first device that JAX finds.

    Returns:
      A function of streams by name, one clip each, which returns scores and frame_scores; the shape of each stream.

    Raises:
      UserError: the signature is missing, damaged, or of another version.
      ValueError: another of its files is damaged or missing, or JAX does not take it.
    """
    path = Path(path)
    values = formats.STABLEHLO.read(_beside(path, SIGNATURE), {"inputs": list})
    shapes = {value["name"]: tuple(value["shape"]) for value in values["inputs"]}
    try:
        return stablehlo_program(str(path)), shapes
    except ModuleNotFoundError:
        raise
    except Exception as error:  # XLA's classes are not public
        raise ValueError(reason_of(error)) from error


def _program(model: AssembleNet, clips: HeldOutClips) -> Program:
    function = ClipFunction(for_tflite(model), clips)
    example = {name: tf.constant(values) for name, values in clips.clip(0).items()}

    def scores(streams: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
        outputs = function.by_name(**streams)
        return tuple(outputs[name] for name in _RESULTS)

    try:
        with products("float32"):
            return to_program(scores, example, _RESULTS)
    except Exception as error:  # of any class, by the operation
        raise UserError(
            f"The network must be expressible in StableHLO. Received: {reason_of(error)}. "
            "Nothing was exported."
        ) from error


def _described(value: Value, axes: tuple[str, ...] = ()) -> dict[str, Any]:
    described = {key: dataclasses.asdict(value)[key] for key in ("name", "shape", "dtype")}
    return {**described, "axes": list(axes[: len(value.shape)])} if axes else described


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)
