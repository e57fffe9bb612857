"""Classifies whole videos: predict --model=EXPORT FILE|FOLDER ... [--videos=LIST.txt] [--output_dir=DIR].

Prints the top classes with their times and writes, for each video, <video>.json (classes and times),
<video>.timeline.png and, with --annotate, <video>.annotated.mp4. A video whose files are there already,
made with the same settings, is skipped. Exit status: 0, or 3 when some videos could not be read (they
are named), or 1 when none could.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags
from tqdm import tqdm

from official_vision import cli, files
from official_vision.errors import UserError
from official_vision.serving.description import version_folder
from official_vision.serving.videos import Outputs, find_videos, outputs_of

if TYPE_CHECKING:
    from official_vision.serving.predict import PredictOptions

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "Folder that tools/export.py wrote (the newest version is taken), or a .tflite file in it.",
)
_VIDEO = flags.DEFINE_multi_string(
    "video",
    [],
    "Video file, or folder of videos, as those named without a flag; can be given several times.",
)
_VIDEOS = flags.DEFINE_multi_string(
    "videos", [], "Text file with a video's path a line; can be given several times."
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
    "Frames that the network is shown at a time; by default those of evaluation.",
    lower_bound=1,
)
_POOLING = flags.DEFINE_enum(
    "pooling", "mean", ["mean", "max"], "How the windows' scores become the video's."
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Windows at a time.", lower_bound=1)
_THRESHOLD = flags.DEFINE_float(
    "threshold", 0.5, "Least score of a segment.", lower_bound=0, upper_bound=1
)
_BROKEN_PACKET_SHARE = flags.DEFINE_float(
    "broken_packet_share",
    0.0,
    "Of a video's packets, those that may be undecodable: they are passed over, counted and told.",
    lower_bound=0,
    upper_bound=1,
)
_WORKERS = flags.DEFINE_integer(
    "workers", 1, "Processes, each with a copy of the model.", lower_bound=1
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Predict again what is there already.")


def main(named: Sequence[str]) -> int:
    """Predicts on every video that is not done and writes its files."""
    named = [*_VIDEO.value, *named]
    if not _MODEL.value or not (named or _VIDEOS.value):
        raise UserError(
            "--model and a video must be given. "
            f"Received: {_MODEL.value!r} and {len(named)} videos. Name an exported folder and a video file."
        )
    model = _model()
    videos = find_videos(named, _VIDEOS.value)
    if _JSON.value:
        files.check_writable(_JSON.value, "--json")
    outputs = outputs_of(videos, _OUTPUT_DIR.value, _ANNOTATE.value)
    requests = {video: _request(model, video) for video in outputs}
    found = {} if _OVERWRITE.value else _done(outputs, requests)
    left = {video: own for video, own in outputs.items() if video not in found}
    if found:
        print(
            f"{len(found)} of {len(outputs)} videos are done already; --overwrite does them again"
        )
    failed = _predict(model, left, requests, found) if left else 0
    if _JSON.value:
        files.write_json(_JSON.value, [found[video] for video in outputs if video in found])
    if failed:
        return cli.SOME_LEFT_OUT if found else 1
    return 0


def _model() -> str:
    """The very file that is asked: what is newest must not change while videos are worked on."""
    path = Path(_MODEL.value)
    return str(path if path.suffix == ".tflite" else version_folder(path))


def _request(model: str, video: str) -> dict[str, Any]:
    """What a video's outputs depend on besides our code: its file, the model's, and the settings."""
    weights = Path(model)
    if weights.is_dir():
        weights = weights / "variables" / "variables.index"
    return {
        "model": [model, _stamp(weights)],
        "video": [str(Path(video).absolute()), _stamp(Path(video))],
        "stride": _STRIDE.value,
        "window": _WINDOW.value,
        "pooling": _POOLING.value,
        "threshold": _THRESHOLD.value,
        "broken_packet_share": _BROKEN_PACKET_SHARE.value,
    }


def _stamp(path: Path) -> list[int] | None:
    """Size and time of change: they tell another file of the same name without reading it."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def _done(
    outputs: dict[str, Outputs], requests: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    answers = {video: own.done(requests[video]) for video, own in outputs.items()}
    return {video: answer for video, answer in answers.items() if answer is not None}


def _options() -> PredictOptions:
    from official_vision.serving.predict import PredictOptions

    return PredictOptions(
        stride=_STRIDE.value,
        window=_WINDOW.value,
        pooling=_POOLING.value,
        batch_size=_BATCH_SIZE.value,
        threshold=_THRESHOLD.value,
        broken_packet_share=_BROKEN_PACKET_SHARE.value,
    )


def _predict(
    model: str,
    outputs: dict[str, Outputs],
    requests: dict[str, dict[str, Any]],
    found: dict[str, dict[str, Any]],
) -> int:
    """Fills `found`; returns how many videos failed."""
    # Imported late: --help and mistakes are answered before TensorFlow starts.
    from official_vision.data.video import VideoError
    from official_vision.serving.job import Job, load, run_job
    from official_vision.workers import WorkerCrashedError, spread

    options = _options()
    # Settings that the file can't follow are said once, before the first video.
    if note := load(model, options).sharing():
        print(note)
    jobs = [Job(model, options, video, own, requests[video]) for video, own in outputs.items()]
    # None shows the bar on a terminal only.
    bar = tqdm(total=len(jobs), unit="video", disable=None if len(jobs) > 1 else True)
    failed = 0
    for job, result in spread(run_job, jobs, _WORKERS.value):
        bar.update()
        if isinstance(result, WorkerCrashedError):
            tqdm.write(f"error: {job.video}: {result}", file=sys.stderr)
            failed += 1
        elif isinstance(result, VideoError):
            tqdm.write(f"error: {result}", file=sys.stderr)
            failed += 1
        elif isinstance(result, UserError):
            raise result
        else:
            found[job.video], said = result
            tqdm.write(said)
    bar.close()
    return failed


if __name__ == "__main__":
    cli.run(main, arguments="videos")
