"""The cost of exported files: seconds to write, size, and seconds per clip in inference."""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision import files
from official_vision.benchmark.network_speed import PRECISIONS, noise_clips, seconds_of
from official_vision.config import Config
from official_vision.errors import UserError
from official_vision.modeling.builder import build_model
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.modeling.network import AssembleNet
from official_vision.serving.export import parity
from official_vision.serving.export.converters import tflite
from official_vision.serving.export.held_out_clips import HeldOutClips, network_scores
from official_vision.serving.export.isolated_process import (
    IsolatedProcessError,
    fastest_tflite_scores,
    saved_model_scores,
)
from official_vision.serving.export.signatures import ServingModule

EXPORT = "export"
_CALIBRATION_CLIPS = 2
_MEBIBYTE = 2**20

TimedScores = tuple[dict[str, np.ndarray], float]  # scores by name; seconds per clip


@dataclasses.dataclass(frozen=True)
class _File:
    """A file to measure: how it is written, and how it scores clips in an isolated process."""

    name: str
    write: Callable[[Path], None]
    scores_of: Callable[[Path, HeldOutClips], TimedScores]


def measure_exports(
    config: Config,
    rounds: int,
    note: Callable[[str], None],
    precisions: Sequence[str] = PRECISIONS,
    formats: Sequence[str] = tflite.FORMATS,
) -> dict[str, Any]:
    """Writes a network's files as official-vision export does, and runs each in a process without our code.

    The weights are drawn and the clips are noise: a difference shows whether a file computes the same, not
    what that does to accuracy.

    Args:
      config: every setting; validation/DataSpec has the clip.
      rounds: clips that each file scores, one at a time, after a warm-up clip.
      note: shows the user a line as each file is done.
      precisions: of SavedModels.
      formats: of TFLite files, which run on as many threads as there are cores.

    Returns:
      JSON values: what, rounds, frames, size, keras_seconds (of a clip in the Keras model, a median), and
      rows: name, and either refused (the reason) or write_seconds, mebibytes, seconds (of a clip, a median)
      and difference (the greatest of a score from the Keras model's).
    """
    model = build_model(config.model)
    data = dataclasses.replace(config.validation_data, batch_size=rounds)
    streams = {name: x.numpy() for name, x in noise_clips(model, data).items()}
    clips = HeldOutClips(streams, np.zeros((rounds, model.spec.num_classes), np.float32))
    seconds, expected = _keras_seconds(model, clips), network_scores(model, clips)
    labels = [str(number) for number in range(model.spec.num_classes)]

    def saved_model(precision: str) -> _File:
        def write(path: Path) -> None:
            network = inference_network(model, discrete=False, precision=precision)
            module = ServingModule(network, labels, [], data)
            tf.saved_model.save(module, str(path), signatures=module.signatures())

        return _File(f"SavedModel {precision}", write, saved_model_scores)

    def lite(format_name: str) -> _File:
        def write(path: Path) -> None:
            network = inference_network(model, discrete=False)
            path.write_bytes(tflite.convert(network, format_name, _first(clips)))

        return _File(f"TFLite {format_name}", write, _lite_scores)

    rows = []
    for file in [*map(saved_model, precisions), *map(lite, formats)]:
        rows.append({"name": file.name, **_measured(file, clips, expected)})
        note(_line(rows[-1], seconds))
    shape = {"frames": data.frames, "size": data.size}
    return {"what": EXPORT, "rounds": rounds, **shape, "keras_seconds": seconds, "rows": rows}


def _first(clips: HeldOutClips) -> HeldOutClips:
    streams = {name: values[:_CALIBRATION_CLIPS] for name, values in clips.streams.items()}
    return HeldOutClips(streams, clips.labels[:_CALIBRATION_CLIPS])


def _keras_seconds(model: AssembleNet, clips: HeldOutClips) -> float:
    forward = tf.function(lambda streams: model(streams, training=False)["logits"], autograph=False)
    fed = [{k: tf.constant(x) for k, x in clips.clip(n).items()} for n in range(len(clips))]
    forward(fed[0])
    return statistics.median(seconds_of(lambda clip=clip: forward(clip).numpy()) for clip in fed)


def _lite_scores(path: Path, clips: HeldOutClips) -> TimedScores:
    scores, seconds, _ = fastest_tflite_scores(path, clips, threads=os.cpu_count() or 1)
    return scores, seconds


def _measured(
    file: _File, clips: HeldOutClips, expected: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exported"
        start = time.perf_counter()
        try:
            file.write(path)
            written = time.perf_counter() - start
            scores, seconds = file.scores_of(path, clips)
        except (UserError, IsolatedProcessError) as error:
            return {"refused": str(error)}
        size = files.size_bytes(path)
    figures = parity.compare(expected, scores, clips, size_bytes=size, seconds_per_clip=seconds)
    return {
        "write_seconds": written,
        "mebibytes": figures.size_bytes / _MEBIBYTE,
        "seconds": figures.seconds_per_clip,
        "difference": figures.difference,
    }


def exports_text(result: Mapping[str, Any]) -> str:
    """Returns the figures as a table for the screen; ratios are to the Keras model."""
    keras = result["keras_seconds"]
    lines = [
        f"export, {result['rounds']} clips of {result['frames']} x {result['size']}²; "
        f"Keras model {keras:.3f} s per clip",
        f"{'':<20} {'write':>8} {'MiB':>8} {'s/clip':>9} {'x Keras':>8} {'difference':>11}",
    ]
    return "\n".join(lines + [_line(row, keras) for row in result["rows"]])


def _line(row: Mapping[str, Any], keras_seconds: float) -> str:
    if "refused" in row:
        return f"{row['name']:<20} {row['refused']}"
    return (
        f"{row['name']:<20} {row['write_seconds']:6.1f} s {row['mebibytes']:8.1f} {row['seconds']:9.4f} "
        f"{keras_seconds / row['seconds']:8.2f} {row['difference']:11.1e}"
    )
