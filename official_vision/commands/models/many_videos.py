"""What commands that work on many videos share: their flags, which videos are done, and the work on the others."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from absl import flags

from official_vision import cli
from official_vision.errors import UserError
from official_vision.names import shown
from official_vision.progress import Progress

VIDEO = flags.DEFINE_multi_string(
    "video",
    [],
    "Video file, or folder of videos, as those named without a flag; can be repeated.",
)
VIDEOS = flags.DEFINE_multi_string(
    "videos", [], "Text file with a video's path per line; can be repeated."
)
OUTPUT_DIR = flags.DEFINE_string("output_dir", ".", "Folder for each video's files.")
STRIDE = flags.DEFINE_integer(
    "stride", None, "Frames between windows; half a window by default.", lower_bound=1
)
WINDOW = flags.DEFINE_integer(
    "window",
    None,
    "Frames that the network is shown at a time; by default those of evaluation, or the nearest number that a TFLite "
    "file has.",
    lower_bound=1,
)
BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Windows at a time.", lower_bound=1)
BROKEN_PACKET_SHARE = flags.DEFINE_float(
    "broken_packet_share",
    0.0,
    "Share of a video's packets that may be undecodable: they are passed over, counted and reported.",
    lower_bound=0,
    upper_bound=1,
)
WORKERS = flags.DEFINE_integer(
    "workers", 1, "Processes, each with a copy of the model.", lower_bound=1
)
OVERWRITE = flags.DEFINE_bool("overwrite", False, "Do again what is there already.")


class VideoOutputs(Protocol):
    """A video's files."""

    def done(self, request: Mapping[str, Any]) -> bool:
        """Returns whether they are whole and were made for the same request."""

    def check_replaceable(self) -> None:
        """Refuses to replace a file of another origin."""


class VideoJob(Protocol):
    """A video's work."""

    video: str


Outputs = TypeVar("Outputs", bound=VideoOutputs)
Job = TypeVar("Job", bound=VideoJob)


def named_videos(model: str | None, named: Sequence[str]) -> list[str]:
    """Returns the videos that flags and arguments name.

    Args:
      model: that a flag names.
      named: without a flag.

    Raises:
      UserError: no model or no video is named, or a list can't be read.
    """
    # Imported late: --help does without the packages that decode videos.
    from official_vision.serving.videos.video_list import find_videos

    named = [*VIDEO.value, *named]
    if not model or not (named or VIDEOS.value):
        raise UserError(
            "--model and a video must be set. "
            f"Received: {model!r} and {len(named)} videos. Name a model's folder and a video file."
        )
    return find_videos(named, VIDEOS.value)


def finished(outputs: Mapping[str, Outputs], requests: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Returns the videos whose files are there already, made for the same request.

    Raises:
      UserError: a video that is not done has a JSON file of another origin.
    """
    if OVERWRITE.value:
        return set()
    done = {video for video in outputs if outputs[video].done(requests[video])}
    for video, paths in outputs.items():
        if video not in done:
            paths.check_replaceable()
    if done:
        print(f"{len(done)} of {len(outputs)} videos are done already; --overwrite does them again")
    return done


def work_through(run: Callable[[Job], str], jobs: Sequence[Job], title: str, done: set[str]) -> int:
    """Works on videos in --workers processes, and prints what becomes of each.

    Args:
      run: does a job and returns what to print; a VideoError leaves the video out.
      jobs: to do.
      title: of the bar, e.g. "predicting".
      done: gets each video whose job is done.

    Returns:
      The command's exit status; videos that were done before count as done.

    Raises:
      UserError: no other video would fare better.
    """
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.data.video import VideoError
    from official_vision.processes.pool import WorkerCrashedError, spread

    failed = 0
    with Progress(len(jobs), title) as progress:
        for job, result in spread(run, jobs, WORKERS.value):
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
    if failed:
        return cli.SOME_LEFT_OUT if done else 1
    return 0
