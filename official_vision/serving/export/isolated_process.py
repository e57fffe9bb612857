"""Exported files answering in processes of their own, as in a server or on a device.

Such a process can't import our code or Keras, and a runtime that crashes takes nothing along.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from official_vision.errors import UserError
from official_vision.serving.export.held_out_clips import HeldOutClips

_COMMON = """
import sys, time
for name in ("tf_keras", "official_vision", "official"):
    sys.modules[name] = None  # importing them fails
import numpy as np
path, inputs, outputs = sys.argv[1:4]
clips = dict(np.load(inputs, allow_pickle=False))
count = len(next(iter(clips.values())))
answers, seconds = {"scores": [], "frame_scores": []}, []
def ask(serve):
    for number in range(-1, count):  # the first call warms up
        clip = {name: x[[max(number, 0)]] for name, x in clips.items()}
        start = time.perf_counter()
        answer = serve(clip)
        seconds.append(time.perf_counter() - start)
        if number >= 0:
            for name in answers:
                answers[name].append(answer[name])
    held = {name: np.concatenate(own) for name, own in answers.items()}
    np.savez(outputs, seconds=np.median(seconds[1:]), **held)
"""
_SAVED_MODEL = (
    _COMMON
    + """
import tensorflow as tf
serve = tf.saved_model.load(path).signatures["streams"]
def run(clip):
    answer = serve(**{name: tf.constant(x) for name, x in clip.items()})
    return {name: answer[name].numpy() for name in answers}
ask(run)
"""
)
_TFLITE = (
    _COMMON
    + """
from ai_edge_litert.interpreter import Interpreter, OpResolverType
kinds = {"xnnpack": OpResolverType.BUILTIN, "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
interpreter = Interpreter(
    model_path=path, num_threads=int(sys.argv[5]), experimental_op_resolver_type=kinds[sys.argv[4]]
)
runner = interpreter.get_signature_runner("serving_default")
ask(lambda clip: runner(**clip))
"""
)


class StrangerFailedError(Exception):
    """The process ended without an answer; the text says why."""


def saved_model_answers(folder: Path, clips: HeldOutClips) -> tuple[dict[str, np.ndarray], float]:
    """Asks a SavedModel in a process that has TensorFlow alone.

    Args:
      folder: of the SavedModel.
      clips: fed one at a time.

    Returns:
      scores [clips, classes] and frame_scores [clips, time, classes]; the median seconds of a clip.

    Raises:
      UserError: it does not load or run.
    """
    try:
        return _ask(_SAVED_MODEL, folder, clips)
    except StrangerFailedError as error:
        raise UserError(
            "An exported file must load with TensorFlow alone. "
            f"Received: {error}. Nothing was exported."
        ) from error


def tflite_answers(
    path: Path, clips: HeldOutClips, *, xnnpack: bool, threads: int = 1
) -> tuple[dict[str, np.ndarray], float]:
    """Asks a TFLite file in a process that has ai-edge-litert alone; arguments and result as above.

    Args:
      path: of the file.
      clips: fed one at a time.
      xnnpack: with the XNNPACK delegate, TFLite's fast kernels.
      threads: of the interpreter.

    Raises:
      StrangerFailedError: it does not load, or the runtime crashed.
    """
    return _ask(_TFLITE, path, clips, "xnnpack" if xnnpack else "plain", str(threads))


def fastest_tflite_answers(
    path: Path, clips: HeldOutClips, threads: int = 1
) -> tuple[dict[str, np.ndarray], float, str]:
    """Asks a TFLite file with XNNPACK, or where that crashes without it.

    Args:
      path, clips, threads: as of `tflite_answers`.

    Returns:
      What `tflite_answers` does, and why XNNPACK did not answer; empty where it did.

    Raises:
      StrangerFailedError: the plain kernels fail too.
    """
    try:
        return *tflite_answers(path, clips, xnnpack=True, threads=threads), ""
    except StrangerFailedError as error:
        plain = tflite_answers(path, clips, xnnpack=False, threads=threads)
        return *plain, str(error)


def _ask(
    script: str, path: Path, clips: HeldOutClips, *arguments: str
) -> tuple[dict[str, np.ndarray], float]:
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = os.path.join(folder, "inputs.npz"), os.path.join(folder, "outputs.npz")
        np.savez(inputs, **clips.streams)
        command = [sys.executable, "-c", script, str(path.resolve()), inputs, outputs, *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise StrangerFailedError(lines[-1])
        answers = dict(np.load(outputs, allow_pickle=False))
    return answers, float(answers.pop("seconds"))
