"""Classifies whole videos: predict --model=EXPORT FILE|FOLDER ... [--videos=LIST.txt] [--output_dir=DIR].

Prints the top classes with their times and writes, for each video, <video>.json (classes and times),
<video>.timeline.png and, with --annotate, <video>.annotated.mp4. A video whose files are there already,
made with the same settings, is skipped; so are annotated videos that lie in a folder. Exit status: 0, or 3
when some videos could not be worked on (they are named), or 1 when none could.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from official_vision import cli, files
from official_vision.errors import UserError
from official_vision.names import shown
from official_vision.progress import Progress
from official_vision.serving.export.description import SINGLE_FILES, version_folder
from official_vision.serving.predict.options import MERGES, POOLINGS, PredictOptions

if TYPE_CHECKING:
    from official_vision.serving.predict.video_list import Outputs

_USUAL = PredictOptions()

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "Folder that official-vision export wrote (the newest version is taken), or a .tflite, .onnx or .stablehlo file "
    "in it.",
)
_VIDEO = flags.DEFINE_multi_string(
    "video",
    [],
    "Video file, or folder of videos, as those named without a flag; can be repeated.",
)
_VIDEOS = flags.DEFINE_multi_string(
    "videos", [], "Text file with a video's path per line; can be repeated."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", ".", "Folder for each video's files.")
_JSON = flags.DEFINE_string("json", None, "File to write all predictions to.")
_ANNOTATE = flags.DEFINE_bool(
    "annotate", False, "Write a video with the top classes, flow and objects drawn over it."
)
_STRIDE = flags.DEFINE_integer(
    "stride", None, "Frames between windows; half a window by default.", lower_bound=1
)
_WINDOW = flags.DEFINE_integer(
    "window",
    None,
    "Frames that the network is shown at a time; by default those of evaluation, or the nearest number that a TFLite "
    "file has.",
    lower_bound=1,
)
_POOLING = flags.DEFINE_enum(
    "pooling", _USUAL.pooling, POOLINGS, "How the windows' scores become the video's."
)
_MERGE = flags.DEFINE_enum(
    "merge",
    _USUAL.merge,
    MERGES,
    "How windows become scores over time. windows: a window's score counts for all of its frames; frames: each "
    "frame's score, finer, but it depends on the frame's place in its window unless --stride=1.",
)
_BATCH_SIZE = flags.DEFINE_integer(
    "batch_size", _USUAL.batch_size, "Windows at a time.", lower_bound=1
)
_SMOOTHING_SEC = flags.DEFINE_float(
    "smoothing_sec",
    _USUAL.smoothing_sec,
    "Width of a moving average over the scores.",
    lower_bound=0,
)
_THRESHOLD = flags.DEFINE_float(
    "threshold", _USUAL.threshold, "Score that a segment reaches.", lower_bound=0, upper_bound=1
)
_HYSTERESIS = flags.DEFINE_float(
    "hysteresis",
    _USUAL.hysteresis,
    "A segment goes on while its score is at most this much below the threshold.",
    lower_bound=0,
    upper_bound=1,
)
_SHORTEST_SEC = flags.DEFINE_float(
    "shortest_sec",
    _USUAL.shortest_sec,
    "Shorter segments are left out, unless they last the whole video.",
    lower_bound=0,
)
_SCORE_POINTS = flags.DEFINE_integer(
    "score_points",
    _USUAL.score_points,
    "Most points in time whose scores are in the JSON file; 0 for every frame.",
    lower_bound=0,
)
_BROKEN_PACKET_SHARE = flags.DEFINE_float(
    "broken_packet_share",
    0.0,
    "Share of a video's packets that may be undecodable: they are passed over, counted and reported.",
    lower_bound=0,
    upper_bound=1,
)
_WORKERS = flags.DEFINE_integer(
    "workers", 1, "Processes, each with a copy of the model.", lower_bound=1
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Predict again what is there already.")

# What may be named without a flag.
ARGUMENTS = "videos"


def main(named: Sequence[str]) -> int:
    """Predicts on every video that is not done and writes its files."""
    # Imported late: --help does without the packages that decode videos.
    from official_vision.serving.predict.video_list import find_videos, outputs_of, write_all

    named = [*_VIDEO.value, *named]
    if not _MODEL.value or not (named or _VIDEOS.value):
        raise UserError(
            "--model and a video must be set. "
            f"Received: {_MODEL.value!r} and {len(named)} videos. Name an exported folder and a video file."
        )
    model, options = _model(), _options()
    outputs = outputs_of(find_videos(named, _VIDEOS.value), _OUTPUT_DIR.value, _ANNOTATE.value)
    _check_json(outputs)
    requests = {video: _request(model, video, options) for video in outputs}
    done = set() if _OVERWRITE.value else {v for v in outputs if outputs[v].done(requests[v])}
    left = {video: paths for video, paths in outputs.items() if video not in done}
    if not _OVERWRITE.value:
        for paths in left.values():
            paths.check_replaceable()
    if done:
        print(f"{len(done)} of {len(outputs)} videos are done already; --overwrite does them again")
    failed = 0
    try:
        failed = _predict(model, options, left, requests, done) if left else 0
    finally:  # finished work is reported, also after an error
        if _JSON.value and done:
            write_all(_JSON.value, [outputs[video] for video in outputs if video in done])
    if failed:
        return cli.SOME_LEFT_OUT if done else 1
    return 0


def _check_json(outputs: dict[str, Outputs]) -> None:
    if not _JSON.value:
        return
    files.check_writable(_JSON.value, "--json")
    if any(paths.json.absolute() == Path(_JSON.value).absolute() for paths in outputs.values()):
        raise UserError(
            f"--json must not be a video's JSON file. Received: {_JSON.value}. Name another."
        )


def _model() -> str:
    """Returns the model's path, fixed at the start: a newer version must not replace it in the middle."""
    path = Path(_MODEL.value)
    return str(path if path.suffix in SINGLE_FILES else version_folder(path))


def _request(model: str, video: str, options: PredictOptions) -> dict[str, Any]:
    """Returns the inputs of a video's outputs besides our code: its file, the model's, and the settings."""
    weights = Path(model)
    if weights.is_dir():
        weights = weights / "variables" / "variables.index"
    return {
        "model": [model, _stamp(weights)],
        "video": [str(Path(video).absolute()), _stamp(Path(video))],
        **options.to_dict(),
    }


def _stamp(path: Path) -> list[int] | None:
    """Returns size and time of change, which distinguish a file from another of the same name without reading it."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _options() -> PredictOptions:
    return PredictOptions(
        stride=_STRIDE.value,
        window=_WINDOW.value,
        pooling=_POOLING.value,
        batch_size=_BATCH_SIZE.value,
        merge=_MERGE.value,
        smoothing_sec=_SMOOTHING_SEC.value,
        threshold=_THRESHOLD.value,
        hysteresis=_HYSTERESIS.value,
        shortest_sec=_SHORTEST_SEC.value,
        score_points=_SCORE_POINTS.value,
        broken_packet_share=_BROKEN_PACKET_SHARE.value,
    )


def _predict(
    model: str,
    options: PredictOptions,
    outputs: dict[str, Outputs],
    requests: dict[str, dict[str, Any]],
    done: set[str],
) -> int:
    """Adds each video that is predicted to `done`; returns how many failed."""
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.data.video import VideoError
    from official_vision.processes.pool import WorkerCrashedError, spread
    from official_vision.serving.predict.one_video import Job, load, run_job

    # Settings that the file can't follow are reported once, before the first video.
    if note := load(model, options).sharing():
        print(note)
    jobs = [Job(model, options, video, paths, requests[video]) for video, paths in outputs.items()]
    failed = 0
    with Progress(len(jobs), "predicting") as progress:
        for job, result in spread(run_job, jobs, _WORKERS.value):
            progress.update()
            if isinstance(result, WorkerCrashedError):
                progress.note(f"error: {shown(job.video)}: {result}", sys.stderr)
                failed += 1
            elif isinstance(result, VideoError):
                progress.note(f"error: {result}", sys.stderr)
                failed += 1
            elif isinstance(result, UserError):
                raise result
            else:
                done.add(job.video)
                progress.note(result, sys.stdout)
    return failed
