"""Scores clips with an exported file, one at a time, as a program that runs without this package.

    python scoring.py KINDS FILE INPUTS.npz OUTPUTS.npz THREADS

KINDS is onnx or stablehlo, or xnnpack or plain for the kernels of a TFLite file, whose signature is that of the
clips' number of frames, else names of a SavedModel's signatures, with commas between; each is fed the streams that it
takes.

It is started by the path of this file: numpy and TensorFlow, ai-edge-litert, onnxruntime or JAX must be enough. The
inputs hold a batch of clips per stream; the outputs hold KIND.scores [clips, classes], KIND.frame_scores
[clips, time, classes] and KIND.seconds, the median per clip.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Clip = dict[str, np.ndarray]
_OUTPUTS = ("scores", "frame_scores")


def _saved_model(folder: str, signatures: list[str]) -> dict[str, Callable[[Clip], Clip]]:
    import tensorflow as tf

    loaded = tf.saved_model.load(folder)

    def runner(signature: str) -> Callable[[Clip], Clip]:
        serve = loaded.signatures[signature]
        taken = serve.structured_input_signature[1]

        def run(clip: Clip) -> Clip:
            scores = serve(**{name: tf.constant(x) for name, x in clip.items() if name in taken})
            return {name: scores[name].numpy() for name in _OUTPUTS}

        return run

    return {signature: runner(signature) for signature in signatures}


def _tflite(path: str, kernels: str, threads: int) -> Callable[[Clip], Clip]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kinds = {
        "xnnpack": OpResolverType.BUILTIN,
        "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    }
    interpreter = Interpreter(
        model_path=path, num_threads=threads, experimental_op_resolver_type=kinds[kernels]
    )
    runners = {}
    for name in interpreter.get_signature_list():
        runner = interpreter.get_signature_runner(name)
        shape = next(iter(runner.get_input_details().values()))["shape"]
        runners[int(shape[1])] = runner
    return lambda clip: runners[next(iter(clip.values())).shape[1]](**clip)


def _onnx(path: str, threads: int) -> Callable[[Clip], Clip]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda clip: dict(zip(_OUTPUTS, session.run(_OUTPUTS, clip), strict=True))


def stablehlo_program(path: str) -> Callable[[Clip], Clip]:
    """Compiles a StableHLO program for the first device that JAX finds, and puts its weights there.

    Args:
      path: of the program; its signature and weights lie beside it.

    Returns:
      A function of one clip's streams.
    """
    import jax

    signature = json.loads(Path(f"{path}.json").read_text(encoding="utf-8"))
    device, content = jax.devices()[0], Path(path).read_bytes()
    client = device.client
    if hasattr(client, "compile_and_load"):
        executable = client.compile_and_load(content, [device])
    else:  # before JAX 0.7
        executable = client.compile(content)
    with np.load(f"{path}.npz", allow_pickle=False) as stored:
        weights = [jax.device_put(stored[value["name"]], device) for value in signature["weights"]]
    inputs, results = ([value["name"] for value in signature[key]] for key in ("inputs", "results"))

    def run(clip: Clip) -> Clip:
        fed = [jax.device_put(np.asarray(clip[name]), device) for name in inputs]
        computed = executable.execute_sharded([*fed, *weights])
        arrays = computed.disassemble_into_single_device_arrays()
        return {name: np.asarray(copies[0]) for name, copies in zip(results, arrays, strict=True)}

    return run


def _scores(run: Callable[[Clip], Clip], clips: Clip) -> dict[str, np.ndarray]:
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
    return {**joined, "seconds": np.median(seconds[1:])}


def main() -> None:
    """Reads the arguments, with this package and Keras blocked."""
    for name in ("tf_keras", "official_vision", "official"):
        sys.modules[name] = None  # importing them fails
    kinds, path, inputs, outputs, threads = sys.argv[1:]
    if kinds in ("xnnpack", "plain"):
        runs = {kinds: _tflite(path, kinds, int(threads))}
    elif kinds == "onnx":
        runs = {kinds: _onnx(path, int(threads))}
    elif kinds == "stablehlo":
        runs = {kinds: stablehlo_program(path)}
    else:
        runs = _saved_model(path, kinds.split(","))
    clips = dict(np.load(inputs, allow_pickle=False))
    results = {kind: _scores(run, clips) for kind, run in runs.items()}
    np.savez(
        outputs, **{f"{kind}.{n}": x for kind, arrays in results.items() for n, x in arrays.items()}
    )


if __name__ == "__main__":
    main()
