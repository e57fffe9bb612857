"""The job of a worker: one video through an exported file to its output files."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from official_vision import formats
from official_vision.names import shown
from official_vision.presentation.fonts import families_for
from official_vision.serving.predict.annotated_video import Annotation, write_overlay
from official_vision.serving.predict.options import PredictOptions
from official_vision.serving.predict.prediction_files import RESULT, Outputs
from official_vision.serving.predict.predictor import Prediction, Predictor, to_dict, to_text
from official_vision.serving.predict.timeline_picture import draw_timeline
from official_vision.serving.videos.one_failure import failure_named
from official_vision.serving.videos.output_files import write_result

_SERIES = "scores_over_time"


@dataclasses.dataclass(frozen=True)
class Job:
    """A video, the exported file with its options, and the output paths.

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
    """Loads an exported file, once per process."""
    return _loaded(model, options)


@functools.lru_cache(maxsize=1)
def _loaded(model: str, options: PredictOptions) -> Predictor:
    predictor = Predictor(model, options)
    families_for(
        predictor.description.labels
    )  # missing letters of all pictures are reported in one line
    return predictor


def run_job(job: Job) -> str:
    """Predicts and writes the files, the JSON file last.

    Returns:
      The table to print, and where the files are.

    Raises:
      VideoError: this video could not be processed, for any reason; its JSON file is not written.
      UserError: the disk is full: no other video would fare better.
    """
    with failure_named(job.video, job.outputs.json.parent):
        return _done(job)


def _done(job: Job) -> str:
    predictor, outputs = load(job.model, job.options), job.outputs
    prediction = predictor.predict(job.video)
    _draw_timeline(outputs.timeline, prediction)
    text = f"{to_text(prediction)}\ntimeline drawn in {outputs.timeline}"
    if outputs.overlay:
        # Scores of a frame are known when its last window is: the video is read a second time.
        annotation = Annotation(prediction.labels, prediction.frame_scores, prediction.times_sec)
        write_overlay(outputs.overlay, predictor.shown_frames(job.video), annotation)
        text += f"\nannotated video in {outputs.overlay}"
    content = {RESULT: to_dict(prediction)}
    write_result(outputs.json, formats.PREDICTION, job.request, content, _SERIES)
    return text


def _draw_timeline(path: Path, prediction: Prediction) -> None:
    draw_timeline(
        path,
        shown(Path(prediction.video).name),
        prediction.frame_scores,
        prediction.times_sec,
        prediction.labels,
        prediction.samples,
    )
