"""Scores clips with an exported file, one at a time, as a program that runs without this package.

    python scoring.py KIND FILE INPUTS.npz OUTPUTS.npz THREADS

KIND is xnnpack or plain for the kernels of a TFLite file, else the name of a SavedModel's signature.

It is started by the path of this file: TensorFlow or ai-edge-litert and numpy must be enough. The
inputs hold a batch of clips per stream; the outputs hold scores [clips, classes], frame_scores
[clips, time, classes] and the median seconds per clip.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

Clip = dict[str, np.ndarray]
_OUTPUTS = ("scores", "frame_scores")


def _saved_model(folder: str, signature: str) -> Callable[[Clip], Clip]:
    import tensorflow as tf

    serve = tf.saved_model.load(folder).signatures[signature]

    def run(clip: Clip) -> Clip:
        scores = serve(**{name: tf.constant(x) for name, x in clip.items()})
        return {name: scores[name].numpy() for name in _OUTPUTS}

    return run


def _tflite(path: str, kernels: str, threads: int) -> Callable[[Clip], Clip]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kinds = {
        "xnnpack": OpResolverType.BUILTIN,
        "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }
    interpreter = Interpreter(
        model_path=path, num_threads=threads, experimental_op_resolver_type=kinds[kernels]
    )
    runner = interpreter.get_signature_runner("serving_default")
    return lambda clip: runner(**clip)


def _write_scores(run: Callable[[Clip], Clip], inputs: str, outputs: str) -> None:
    clips = dict(np.load(inputs, allow_pickle=False))
    scores, seconds = {name: [] for name in _OUTPUTS}, []
    for number in range(-1, len(next(iter(clips.values())))):  # the first call warms up
        clip = {name: x[[max(number, 0)]] for name, x in clips.items()}
        start = time.perf_counter()
        result = run(clip)
        seconds.append(time.perf_counter() - start)
        if number >= 0:
            for name in _OUTPUTS:
                scores[name].append(result[name])
    joined = {name: np.concatenate(parts) for name, parts in scores.items()}
    np.savez(outputs, seconds=np.median(seconds[1:]), **joined)


def main() -> None:
    """Reads the arguments, with this package and Keras blocked."""
    for name in ("tf_keras", "official_vision", "official"):
        sys.modules[name] = None  # importing them fails
    kind, path, inputs, outputs, threads = sys.argv[1:]
    is_lite = kind in ("xnnpack", "plain")
    run = _tflite(path, kind, int(threads)) if is_lite else _saved_model(path, kind)
    _write_scores(run, inputs, outputs)


if __name__ == "__main__":
    main()
