"""A run's folder -> a versioned SavedModel that needs none of our code to run."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision import config as configuration
from official_vision import files
from official_vision.architecture.formats import to_json
from official_vision.data.index import Index
from official_vision.data.input import read_index
from official_vision.errors import UserError
from official_vision.modeling.inputs import input_signature
from official_vision.modeling.network import AssembleNet
from official_vision.serving.description import LABELS_FILE, MODEL_FILE, feeding_to_dict
from official_vision.training.evaluate import Trained, load_trained
from official_vision.training.task import scores_of

# Largest difference of a score between the file, loaded afresh, and the model.
TOLERANCE = 1e-4
_PROBE_FRAMES, _PROBE_SIZE = 4, 64


@dataclasses.dataclass(frozen=True)
class Exported:
    """An exported version: its folder and the largest difference of a score from the model's."""

    path: Path
    difference: float


class ServingModule(tf.Module):
    """The network with its preprocessing, as one function from streams to scores.

    The Keras model itself is not part of the module, only its variables: saving a Keras model would
    trace every layer by itself, for minutes, and load them all again.
    """

    def __init__(self, model: AssembleNet, labels: Sequence[str], assets: Sequence[str]):
        """Args:
        model: the network.
        labels: class names.
        assets: files that travel in the SavedModel's assets folder.
        """
        super().__init__()
        self.weights = model.variables
        self.labels = tf.constant(list(labels))
        self.assets = [tf.saved_model.Asset(path) for path in assets]
        activation = model.spec.activation

        def serve(streams: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            outputs = model(streams, training=False)
            return {
                "scores": scores_of(outputs["logits"], activation),
                "frame_scores": scores_of(outputs["frame_logits"], activation),
                "labels": self.labels,
            }

        self.serve = tf.function(serve, input_signature=[input_signature(model.streams)])


def export(
    model_dir: str | os.PathLike, output: str | os.PathLike, checkpoint: str = "best"
) -> Exported:
    """Exports a run's checkpoint as the next version below `output`, and proves the file.

    The signature serving_default takes the model's streams (rgb uint8 [batch, time, height, width,
    3] in 0..255; flow float32 [batch, time, height, width, 2] in pixels a frame; objects uint8 ids
    [batch, time, height, width]), with every size free, and returns scores [batch, classes],
    frame_scores [batch, time, classes] and labels [classes].

    Args:
      model_dir: the run's folder.
      output: folder of versions 1, 2, ...; TF Serving loads the greatest.
      checkpoint: best, latest or a path prefix.

    Raises:
      UserError: no run, no checkpoint, data that is not the run's, or a file that does not answer as
        the model does.
    """
    trained = load_trained(model_dir, checkpoint)
    index = _index_of_run(model_dir, trained)
    path = Path(output) / str(_next_version(Path(output)))
    with files.folder_written_aside(path) as partial:
        _save(trained, index, partial)
        difference = _difference_when_loaded_afresh(trained.model, partial)
        if not difference <= TOLERANCE:
            raise UserError(
                f"An exported file must answer as the model does, within {TOLERANCE:g}. "
                f"Received: a difference of {difference:g}. Nothing was exported."
            )
    return Exported(path, difference)


def describe(trained: Trained, index: Index) -> dict[str, Any]:
    """Returns what a user of the file must know: streams, preparation, clip, classes, provenance."""
    return {
        "architecture": json.loads(to_json(trained.model.architecture)),
        "model": trained.config.model.to_dict(),
        "streams": list(trained.model.streams),
        "labels": list(index.classes),
        "object_classes": list(index.object_classes),
        **feeding_to_dict(index.settings, trained.config.validation_data),
        "checkpoint": {"path": trained.checkpoint, "step": trained.step},
        "data_fingerprint": index.fingerprint,
    }


def _index_of_run(model_dir: str | os.PathLike, trained: Trained) -> Index:
    """The index that names the classes; of the very data that the run was evaluated on."""
    config = trained.config
    streams, data = trained.model.streams, config.validation_data
    index = read_index(data, streams, config.model.num_classes, "validation")
    expected = configuration.read_record(model_dir).get("data_fingerprints", {}).get("validation")
    if expected not in (None, index.fingerprint):
        raise UserError(
            f"Labels come from the data that a run was evaluated on. Received: {data.path}, which has been "
            f"prepared anew since {model_dir} was trained. Train again, or bring the old data back."
        )
    return index


def _next_version(output: Path) -> int:
    existing = [int(path.name) for path in output.glob("*") if path.name.isdecimal()]
    return max(existing, default=0) + 1


def _save(trained: Trained, index: Index, folder: Path) -> None:
    described, labels = folder / MODEL_FILE, folder / LABELS_FILE
    files.write_json(described, describe(trained, index))
    files.write_text(labels, "".join(f"{name}\n" for name in index.classes))
    module = ServingModule(trained.model, index.classes, [str(described), str(labels)])
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    described.unlink()  # copied into assets/ by now
    labels.unlink()


# A stranger's process: only TensorFlow, as in a server.
_STRANGER = """
import sys
sys.modules["tf_keras"] = sys.modules["official_vision"] = None  # importing them fails
import numpy as np
import tensorflow as tf
folder, inputs, outputs = sys.argv[1:]
serve = tf.saved_model.load(folder).signatures["serving_default"]
streams = {name: tf.constant(value) for name, value in np.load(inputs).items()}
answer = serve(**streams)
np.savez(outputs, **{name: value.numpy() for name, value in answer.items() if name != "labels"})
"""


def _difference_when_loaded_afresh(model: AssembleNet, folder: Path) -> float:
    streams = _probe(model)
    answer = _answer_of_a_stranger(folder, streams)
    # Both on the CPU: this process may hold the whole memory of an accelerator, which also rounds
    # otherwise.
    with tf.device("/CPU:0"):
        expected = model({name: tf.constant(x) for name, x in streams.items()}, training=False)
        differences = [
            np.abs(answer[name] - scores_of(expected[logits], model.spec.activation).numpy()).max()
            for name, logits in (("scores", "logits"), ("frame_scores", "frame_logits"))
        ]
    return float(np.max(differences))  # NaN, where there is one, unlike Python's max


def _probe(model: AssembleNet) -> dict[str, np.ndarray]:
    """A random clip of every stream."""
    generator = np.random.default_rng(0)
    streams = {}
    for name, spec in input_signature(model.streams, 2, _PROBE_FRAMES, _PROBE_SIZE).items():
        values = (
            generator.normal(size=spec.shape)
            if name == "flow"
            else generator.integers(0, 8, spec.shape)
        )
        streams[name] = (values * 30 if name == "rgb" else values).astype(spec.dtype.as_numpy_dtype)
    return streams


def _answer_of_a_stranger(folder: Path, streams: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as probe:
        inputs, outputs = os.path.join(probe, "inputs.npz"), os.path.join(probe, "outputs.npz")
        np.savez(inputs, **streams)
        done = subprocess.run(
            [sys.executable, "-c", _STRANGER, str(folder.resolve()), inputs, outputs],
            capture_output=True,
            text=True,
            check=False,
            cwd=probe,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise UserError(
                "An exported file must load with TensorFlow alone. "
                f"Received: {reason}. Nothing was exported."
            )
        return dict(np.load(outputs))
