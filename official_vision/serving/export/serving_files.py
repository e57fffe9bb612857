"""What an operator of TF Serving needs beside a SavedModel: README.md and batching_parameters.txt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf

from official_vision import files
from official_vision.serving.export.description import (
    DEFAULT_SIGNATURE,
    FEATURES_SIGNATURE,
    HEAD_SIGNATURE,
    STREAMS_SIGNATURE,
)
from official_vision.specs import DataSpec

README_FILE = "README.md"
BATCHING_FILE = "batching_parameters.txt"
_PURPOSES = {
    DEFAULT_SIGNATURE: "rgb alone: flow is computed, objects are unlabelled",
    STREAMS_SIGNATURE: "every stream of the network",
    "encoded": "JPEG or PNG files of the frames, which the server decodes, crops and resizes",
    "sequence_example": "tf.train.SequenceExample with the keys of official_vision's shards",
    "gates": "how far each channel of each gated connection is open",
    "frame_stems": "flow stems of single frames, for windows that overlap",
    "from_stems": "results of frame_stems with the other streams",
    FEATURES_SIGNATURE: "what the classifier reads of each frame, its logits, and averages of chosen nodes",
    HEAD_SIGNATURE: "scores of what the classifier reads",
}
_BATCHING = """# Of TF Serving's --enable_batching: requests that arrive together are computed as one.
# Clips per batch; memory grows with it.
max_batch_size { value: 8 }
# Longest wait for other requests: short beside the tens of milliseconds of a clip.
batch_timeout_micros { value: 5000 }
# Batches that are computed at the same time; on a GPU 1 is enough.
num_batch_threads { value: 2 }
# Batches that wait; requests beyond them are refused, so that clients try again later.
max_enqueued_batches { value: 32 }
# Clips of other sizes are never filled up: that would change their scores.
pad_variable_length_inputs: false
"""
_README = """# A video classification model for TF Serving

An AssembleNet network as a TensorFlow SavedModel, written by `official-vision export`. `parity.json` compares each
file here with the trained network; `assets/labels.txt` has the class names, `assets/model.json` how videos are
prepared.

## Start a server

The folder above this one is served; TF Serving takes its greatest version.

    docker run -p 8500:8500 -p 8501:8501 -e MODEL_NAME={name} \\
        -v /path/to/{name}:/models/{name} tensorflow/serving

With requests joined in batches, add after the image's name:

    --enable_batching --batching_parameters_file=/models/{name}/{version}/batching_parameters.txt

A clip's scores do not depend on the clips beside it. Requests that are joined must have clips of one number of frames
and one size ({frames} frames of {size} x {size} pixels in evaluation): TF Serving refuses a batch of unequal ones as
a whole. `encoded` resizes in the server, so that only the number of frames must be the same.

## Signatures

Axes shown as ? are free; the first is the batch. rgb is 0..255, flow in pixels per frame, objects are ids.

{signatures}

## Send a clip

A clip of black frames, as an example:

```python
import numpy as np

clip = {{
{clip}
}}
```

REST, an instance per clip:

```python
import json, urllib.request

body = {{"signature_name": "{signature}", "instances": [{{k: x.tolist() for k, x in clip.items()}}]}}
url = "http://localhost:8501/v1/models/{name}:predict"
with urllib.request.urlopen(url, json.dumps(body).encode()) as response:
    (result,) = json.load(response)["predictions"]
print(dict(zip(result["labels"], result["scores"])))
```

gRPC, with `pip install tensorflow-serving-api`, which sends bytes in place of text:

```python
import grpc, tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

request = predict_pb2.PredictRequest()
request.model_spec.name = "{name}"
request.model_spec.signature_name = "{signature}"
for key, x in clip.items():
    request.inputs[key].CopyFrom(tf.make_tensor_proto(x[np.newaxis]))
channel = grpc.insecure_channel("localhost:8500", [("grpc.max_send_message_length", -1)])
result = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, 60)
print(tf.make_ndarray(result.outputs["scores"]))
```

`official-vision serve-check --address=http://localhost:8501/v1/models/{name} --model=FOLDER --video=FILE` compares a
running server with these files.
"""


# Axes after batch and time of a clip's streams, for the example.
_AXES = {"rgb": ("size", "size", 3), "flow": ("size", "size", 2), "objects": ("size", "size")}


class Signature(NamedTuple):
    """A signature of a SavedModel.

    Attributes:
      name: that clients use.
      inputs, outputs: a line for each tensor: name, dtype and shape, e.g. "rgb uint8 [?, ?, ?, ?, 3]".
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def signatures_of(
    functions: Mapping[str, tf.types.experimental.GenericFunction],
) -> list[Signature]:
    """Describes the signatures of a SavedModel.

    Args:
      functions: by the names of signatures, each of one argument: a tensor, or tensors by name.

    Returns:
      The signatures, in the order of their names.
    """
    signatures = []
    for name, function in sorted(functions.items()):
        traced = function.get_concrete_function()
        ((argument,), _) = traced.structured_input_signature
        inputs = argument if isinstance(argument, dict) else {argument.name: argument}
        signatures.append(Signature(name, _tensors(inputs), _tensors(traced.structured_outputs)))
    return signatures


def write_serving_files(
    folder: Path, target: Path, clip: DataSpec, signatures: Sequence[Signature]
) -> None:
    """Writes README.md and batching_parameters.txt into an exported version's folder.

    Args:
      folder: to write to.
      target: the folder's path once it is whole: the model's name on a server, and its version.
      clip: frames and size, in pixels, of evaluation's clips.
      signatures: of the SavedModel.
    """
    default = next(s for s in signatures if s.name == DEFAULT_SIGNATURE)
    text = _README.format(
        name=target.absolute().parent.name,
        version=target.name,
        frames=clip.frames,
        size=clip.size,
        signature=DEFAULT_SIGNATURE,
        signatures="\n".join(_table(signatures)),
        clip="\n".join(_example(line, clip) for line in default.inputs),
    )
    files.write_text(folder / README_FILE, text)
    files.write_text(folder / BATCHING_FILE, _BATCHING)


def _tensors(specs: Mapping[str, tf.TensorSpec]) -> tuple[str, ...]:
    return tuple(
        f"{name} {spec.dtype.name} [{', '.join('?' if n is None else str(n) for n in spec.shape)}]"
        for name, spec in sorted(specs.items())
    )


def _table(signatures: Iterable[Signature]) -> Iterator[str]:
    yield "| signature | takes | returns | for |"
    yield "|---|---|---|---|"
    for signature in signatures:
        takes, returns = ("<br>".join(lines) for lines in (signature.inputs, signature.outputs))
        yield f"| `{signature.name}` | {takes} | {returns} | {_PURPOSES[signature.name]} |"


def _example(line: str, clip: DataSpec) -> str:
    """Returns a line of Python that makes a stream of black frames, from a tensor's line."""
    name, dtype, _ = line.split(" ", 2)
    shape = [clip.frames, *(clip.size if axis == "size" else axis for axis in _AXES[name])]
    return f'    "{name}": np.zeros({shape}, np.{dtype}),'
