"""Runs exported files in isolated processes, as in a server or on a device.

Such a process can't import our code or Keras, and a runtime that crashes takes nothing along.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from official_vision.errors import UserError
from official_vision.processes.start import run_script
from official_vision.serving.export.description import STREAMS_SIGNATURE
from official_vision.serving.export.held_out_clips import HeldOutClips
from official_vision.serving.isolated import scoring

# scores [clips, classes] and frame_scores [clips, time, classes]; the median seconds of a clip.
Scored = tuple[dict[str, np.ndarray], float]


class IsolatedProcessError(Exception):
    """The process ended without a result; the text is the reason."""


def saved_model_scores(folder: Path, clips: HeldOutClips) -> Scored:
    """Runs a SavedModel on every stream; see `signature_scores`."""
    return signature_scores(folder, clips, (STREAMS_SIGNATURE,))[STREAMS_SIGNATURE]


def signature_scores(
    folder: Path, clips: HeldOutClips, signatures: Sequence[str]
) -> dict[str, Scored]:
    """Runs signatures of a SavedModel in a process that has only TensorFlow.

    Args:
      folder: of the SavedModel.
      clips: fed one at a time, to each signature the streams that it takes.
      signatures: to call.

    Returns:
      By signature: scores [clips, classes] and frame_scores [clips, time, classes]; the median seconds of a clip.

    Raises:
      UserError: it does not load or run.
    """
    try:
        return _scores(signatures, folder, clips)
    except IsolatedProcessError as error:
        raise UserError(
            "An exported file must load with TensorFlow alone. "
            f"Received: {error}. Nothing was exported."
        ) from error


def tflite_scores(path: Path, clips: HeldOutClips, *, xnnpack: bool, threads: int = 1) -> Scored:
    """Runs a TFLite file in a process that has only ai-edge-litert.

    Args:
      path: of the file.
      clips: fed one at a time.
      xnnpack: with the XNNPACK delegate, TFLite's fast kernels.
      threads: of the interpreter.

    Raises:
      IsolatedProcessError: it does not load, or the runtime crashed.
    """
    kernels = "xnnpack" if xnnpack else "plain"
    return _scores((kernels,), path, clips, threads)[kernels]


def onnx_scores(path: Path, clips: HeldOutClips, threads: int = 1) -> Scored:
    """Runs an ONNX file in a process that has only onnxruntime; arguments as of `tflite_scores`.

    Raises:
      UserError: it does not load, or does not run.
    """
    try:
        return _scores(("onnx",), path, clips, threads)["onnx"]
    except IsolatedProcessError as error:
        raise UserError(
            "An exported file must load with onnxruntime alone. "
            f"Received: {error}. Nothing was exported."
        ) from error


def stablehlo_scores(path: Path, clips: HeldOutClips) -> Scored:
    """Runs a StableHLO program in a process that has only JAX, on the CPU; XLA takes all cores.

    Raises:
      UserError: it does not load, or does not run.
    """
    try:
        return _scores(("stablehlo",), path, clips)["stablehlo"]
    except IsolatedProcessError as error:
        raise UserError(
            f"An exported file must load with JAX alone. Received: {error}. Nothing was exported."
        ) from error


def fastest_tflite_scores(
    path: Path, clips: HeldOutClips, threads: int = 1
) -> tuple[dict[str, np.ndarray], float, str]:
    """Runs a TFLite file with XNNPACK, or without it where that crashes.

    Args:
      path, clips, threads: as of `tflite_scores`.

    Returns:
      What `tflite_scores` returns, and why XNNPACK failed; empty where it did not.

    Raises:
      IsolatedProcessError: the plain kernels fail too.
    """
    try:
        return *tflite_scores(path, clips, xnnpack=True, threads=threads), ""
    except IsolatedProcessError as error:
        plain = tflite_scores(path, clips, xnnpack=False, threads=threads)
        return *plain, str(error)


def _scores(
    kinds: Sequence[str], path: Path, clips: HeldOutClips, threads: int = 1
) -> dict[str, Scored]:
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = os.path.join(folder, "inputs.npz"), os.path.join(folder, "outputs.npz")
        np.savez(inputs, **clips.streams)
        arguments = [",".join(kinds), str(path.resolve()), inputs, outputs, str(threads)]
        if failure := run_script(scoring.__file__, arguments):
            raise IsolatedProcessError(failure)
        arrays = dict(np.load(outputs, allow_pickle=False))
    return {
        kind: (
            {name: arrays[f"{kind}.{name}"] for name in ("scores", "frame_scores")},
            float(arrays[f"{kind}.seconds"]),
        )
        for kind in kinds
    }
