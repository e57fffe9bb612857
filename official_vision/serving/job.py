"""One video through an exported file to its output files: what a worker does."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.fonts import families_for
from official_vision.names import shown
from official_vision.serving.overlay import Annotation, write_overlay
from official_vision.serving.predict import (
    Prediction,
    PredictOptions,
    Predictor,
    to_dict,
    to_text,
)
from official_vision.serving.timeline import draw_timeline
from official_vision.serving.videos import Outputs


@dataclasses.dataclass(frozen=True)
class Job:
    """A video, what to ask of which file, and where to write.

    Attributes:
      model: path of the exported file.
      options: of the prediction.
      video: its path.
      outputs: the files to write.
      request: what the JSON file keeps, so that the same work is not done again.
    """

    model: str
    options: PredictOptions
    video: str
    outputs: Outputs
    request: dict[str, Any]


def load(model: str, options: PredictOptions) -> Predictor:
    """Loads an exported file, once a process."""
    return _loaded(model, options)


@functools.lru_cache(maxsize=1)
def _loaded(model: str, options: PredictOptions) -> Predictor:
    predictor = Predictor(model, options)
    families_for(
        predictor.description.labels
    )  # missing letters of all pictures are told in one line
    return predictor


def run_job(job: Job) -> tuple[dict[str, Any], str]:
    """Predicts and writes the files, the JSON file last.

    Returns:
      The prediction as JSON values, and the table to print.

    Raises:
      VideoError: the video can't be decoded; nothing is written.
      UserError: the exported file can't be read, or refuses the clips, or the disk is full.
    """
    with files.full_disk_told("--output_dir", job.outputs.json.parent):
        return _answered(job)


def _answered(job: Job) -> tuple[dict[str, Any], str]:
    predictor, outputs = load(job.model, job.options), job.outputs
    prediction = predictor.predict(job.video)
    _draw_timeline(outputs.timeline, prediction)
    said = f"{to_text(prediction)}\ntimeline drawn in {outputs.timeline}"
    if outputs.overlay:
        # Scores of a frame are known when its last window is: the video is read a second time.
        annotation = Annotation(prediction.labels, prediction.frame_scores, prediction.times_sec)
        write_overlay(outputs.overlay, predictor.feeder.streams(job.video), annotation)
        said += f"\nannotated video in {outputs.overlay}"
    found = to_dict(prediction)
    files.write_json(outputs.json, {"request": job.request, "prediction": found})
    return found, said


def _draw_timeline(path: Path, prediction: Prediction) -> None:
    draw_timeline(
        path,
        shown(Path(prediction.video).name),
        prediction.frame_scores,
        prediction.times_sec,
        prediction.labels,
        prediction.samples,
    )
