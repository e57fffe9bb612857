"""The job of a worker: one video's features to its files."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from official_vision import files, formats
from official_vision.data.video import DecodingReport
from official_vision.names import shown
from official_vision.serving.features import row_files
from official_vision.serving.features.extraction import Extractor
from official_vision.serving.features.feature_model import load_feature_model
from official_vision.serving.features.options import LOGITS, FeatureOptions
from official_vision.serving.predict.frame_times import FrameTimes
from official_vision.serving.videos import output_files
from official_vision.serving.videos.one_failure import failure_named

RESULT = "features"


@dataclasses.dataclass(frozen=True)
class Outputs:
    """A video's files: the features, and what they are of."""

    json: Path
    rows: Path

    def done(self, request: Mapping[str, Any]) -> bool:
        """Returns whether both files exist and were made for the same request."""
        return output_files.is_done(self.json, [self.rows], formats.FEATURES, RESULT, request)

    def check_replaceable(self) -> None:
        """Refuses, as `output_files.check_replaceable`, to replace a JSON file of another origin."""
        output_files.check_replaceable(self.json, "Features", RESULT)


@dataclasses.dataclass(frozen=True)
class Job:
    """A video, the network with its options, and the output paths.

    Attributes:
      model: path of the run's folder or the export's.
      checkpoint: of a run, a path prefix.
      options: of the extraction.
      video: its path.
      outputs: the files to write.
      request: what the JSON file keeps, so that the same work is not done again.
    """

    model: str
    checkpoint: str
    options: FeatureOptions
    video: str
    outputs: Outputs
    request: dict[str, Any]


def outputs_of(videos: Sequence[str], folder: str, options: FeatureOptions) -> dict[str, Outputs]:
    """Names each video's files.

    Args:
      videos: paths.
      folder: of the outputs; it is made.
      options: of the extraction.

    Raises:
      UserError: the folder can't be made or written.
    """
    endings = ("json", options.file)
    named = output_files.names_of(videos, folder, endings)
    return {
        video: Outputs(*(output_files.with_ending(path, ending) for ending in endings))
        for video, path in named.items()
    }


@functools.lru_cache(maxsize=1)
def load(model: str, checkpoint: str, options: FeatureOptions) -> Extractor:
    """Loads a network, once per process."""
    return Extractor(load_feature_model(model, options.of, checkpoint), options)


def run_job(job: Job) -> str:
    """Extracts and writes the files, the JSON file last.

    Returns:
      A line to print.

    Raises:
      VideoError: this video could not be processed, for any reason; its JSON file is not written.
      UserError: the disk is full: no other video would fare better.
    """
    with failure_named(job.video, job.outputs.json.parent):
        return _done(job)


def _done(job: Job) -> str:
    extractor, outputs = load(job.model, job.checkpoint, options=job.options), job.outputs
    # A process that is killed between the two files leaves no JSON file of an earlier request beside new features.
    outputs.json.unlink(missing_ok=True)
    times, report = FrameTimes(), DecodingReport()
    with (
        files.written_aside(outputs.rows) as partial,
        row_files.opened(partial, job.options.file, job.options.layout) as rows,
    ):
        shape = (0, 0)
        for part in extractor.rows(job.video, times, report):
            rows.add(part)
            shape = (shape[0] + len(part), part.shape[1])
        facts, begin = _facts(extractor, shape, times.with_end())
        rows.close({**facts, "video": job.video}, begin)
    layout_shape = shape if job.options.layout == "TC" else shape[::-1]
    notes = [*report.lines(), *unevenness(times.with_end())]
    described = {
        "video": job.video,
        "file": outputs.rows.name,
        "shape": list(layout_shape),
        **facts,
        **({"channels": list(extractor.labels)} if job.options.of == LOGITS else {}),
        "notes": notes,
        "times_sec": np.round(begin, 6).tolist(),
    }
    content = {RESULT: described}
    output_files.write_result(outputs.json, formats.FEATURES, job.request, content, "times_sec")
    appended = "".join(f"; note: {note}" for note in notes)
    return f"{shown(job.video)}: {list(layout_shape)} in {outputs.rows}{appended}"


def _facts(
    extractor: Extractor, shape: tuple[int, int], times: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    """Returns what readers must know of the rows, and when each begins."""
    options, frames = extractor.options, len(times) - 1
    by_window = options.per == "window"
    stride = extractor.stride if by_window else 1
    window = min(extractor.window_frames, frames) if by_window else 1
    fps = extractor.preparation_fps or frames / (times[-1] - times[0])
    facts = {
        "of": options.of,
        "per": options.per,
        "layout": options.layout,
        "fps": round(float(fps), 6),
        "stride_frames": stride,
        "window_frames": window,
        "offset_frames": window / 2,
        "clip_frames": extractor.window_frames,
        "clip_stride_frames": extractor.stride,
        "frames": frames,
        "duration_sec": float(times[-1]),
    }
    return facts, times[:-1][::stride][: shape[0]]


def unevenness(times: np.ndarray) -> list[str]:
    """Returns a note where some frame is more than a frame away from its place at the mean rate."""
    even = np.linspace(times[0], times[-1], len(times))
    if np.abs(times - even).max() <= np.diff(times).mean():
        return []
    return [
        "frames do not come at one rate: fps is their mean, and times_sec has when each row begins"
    ]
