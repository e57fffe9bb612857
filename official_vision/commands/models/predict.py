"""Classifies whole videos: predict --model=EXPORT FILE|FOLDER ... [--videos=LIST.txt] [--output_dir=DIR].

Prints the top classes with their times and writes, for each video, <video>.json (classes and times),
<video>.timeline.png and, with --annotate, <video>.annotated.mp4. A video whose files are there already,
made with the same settings, is skipped; so are annotated videos that lie in a folder. A camera's number, an address
(rtsp, udp, http ...), a named pipe or - for standard input is followed while it arrives, with a line for each window.
Exit status: 0, or 3 when some videos could not be worked on (they are named), or 1 when none could.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from official_vision import files
from official_vision.commands.models import live_scores, many_videos
from official_vision.errors import UserError
from official_vision.serving.export.description import SINGLE_FILES, version_folder, weights_file
from official_vision.serving.live.options import LiveOptions
from official_vision.serving.predict.options import MERGES, POOLINGS, PredictOptions

if TYPE_CHECKING:
    from official_vision.serving.predict.prediction_files import Outputs

_USUAL = PredictOptions()

flags.adopt_module_key_flags(many_videos)

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "Folder that official-vision export wrote (the newest version is taken), or a .tflite, .onnx or .stablehlo file "
    "in it.",
)
_JSON = flags.DEFINE_string("json", None, "File to write all predictions to.")
_ANNOTATE = flags.DEFINE_bool(
    "annotate", False, "Write a video with the top classes, flow and objects drawn over it."
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
_REAL_TIME = flags.DEFINE_bool(
    "real_time",
    None,
    "Of a live video: leave out windows and frames that come too fast, instead of letting them wait; by default "
    "where the sender can't wait (cameras, udp, rtp, rtsp, rtmp, srt).",
)
_PATIENCE_SEC = flags.DEFINE_float(
    "patience_sec",
    LiveOptions().patience_sec,
    "Of a live video that can be lost: longest time without a frame, in which the connection is tried again.",
    lower_bound=0.1,
)

# What may be named without a flag.
ARGUMENTS = "videos"


def main(named: Sequence[str]) -> int:
    """Predicts on every video that is not done and writes its files."""
    names = [*many_videos.VIDEO.value, *named]
    if _MODEL.value and live_scores.is_live(names, annotate=_ANNOTATE.value):
        return _follow(*names)
    videos = many_videos.named_videos(_MODEL.value, named)
    # Imported late: --help does without the packages that decode videos.
    from official_vision.serving.predict.prediction_files import outputs_of, write_all
    from official_vision.serving.videos.output_files import request_of

    model, options = _model(), _options()
    outputs = outputs_of(videos, many_videos.OUTPUT_DIR.value, _ANNOTATE.value)
    _check_json(outputs)
    weights = weights_file(Path(model))
    requests = {v: request_of(model, weights, v, options.to_dict()) for v in outputs}
    done = many_videos.finished(outputs, requests)
    left = {video: paths for video, paths in outputs.items() if video not in done}
    try:
        return _predict(model, options, left, requests, done) if left else 0
    finally:  # finished work is reported, also after an error
        if _JSON.value and done:
            write_all(_JSON.value, [outputs[video] for video in outputs if video in done])


def _follow(name: str) -> int:
    live = LiveOptions(real_time=_REAL_TIME.value, patience_sec=_PATIENCE_SEC.value)
    if _JSON.value:
        files.check_writable(_JSON.value, "--json")
    return live_scores.follow(_model(), _options(), name, live, _JSON.value)


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


def _options() -> PredictOptions:
    return PredictOptions(
        stride=many_videos.STRIDE.value,
        window=many_videos.WINDOW.value,
        pooling=_POOLING.value,
        batch_size=many_videos.BATCH_SIZE.value,
        merge=_MERGE.value,
        smoothing_sec=_SMOOTHING_SEC.value,
        threshold=_THRESHOLD.value,
        hysteresis=_HYSTERESIS.value,
        shortest_sec=_SHORTEST_SEC.value,
        score_points=_SCORE_POINTS.value,
        broken_packet_share=many_videos.BROKEN_PACKET_SHARE.value,
    )


def _predict(
    model: str,
    options: PredictOptions,
    outputs: dict[str, Outputs],
    requests: dict[str, dict[str, Any]],
    done: set[str],
) -> int:
    """Adds each video that is predicted to `done`; returns the exit status."""
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.serving.predict.one_video import Job, load, run_job

    # Settings that the file can't follow are reported once, before the first video.
    if note := load(model, options).sharing():
        print(note)
    jobs = [Job(model, options, video, paths, requests[video]) for video, paths in outputs.items()]
    return many_videos.work_through(run_job, jobs, "predicting", done)
