"""Classifies whole videos: predict --model=EXPORT --video=FILE [--video=FILE ...] [--output_dir=DIR].

Prints the top classes with their times and draws <video>.timeline.png. Exit status: 0, or 3 when some
videos could not be read (they are named), or 1 when none could.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags
from tqdm import tqdm

from official_vision import cli, files
from official_vision.errors import UserError
from official_vision.serving.description import version_folder

if TYPE_CHECKING:
    from official_vision.serving.predict import Predictor

_MODEL = flags.DEFINE_string(
    "model", None, "Folder that tools/export.py wrote; the newest version is taken."
)
_VIDEO = flags.DEFINE_multi_string("video", [], "Video file; can be given several times.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", ".", "Folder for the timelines.")
_JSON = flags.DEFINE_string("json", None, "File to write all predictions to.")
_STRIDE = flags.DEFINE_integer(
    "stride", None, "Frames between windows; half a window by default.", lower_bound=1
)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 4, "Windows at a time.", lower_bound=1)
_THRESHOLD = flags.DEFINE_float(
    "threshold", 0.5, "Least score of a segment.", lower_bound=0, upper_bound=1
)


def main() -> int:
    """Predicts on every video and draws its timeline."""
    if not _MODEL.value or not _VIDEO.value:
        raise UserError(
            "--model and --video must be given. "
            f"Received: {_MODEL.value!r} and {len(_VIDEO.value)} videos. Name an exported folder and a video file."
        )
    model = version_folder(_MODEL.value)
    pictures = _pictures(_VIDEO.value, Path(_OUTPUT_DIR.value))
    # Imported late: --help and mistakes are answered before TensorFlow starts.
    from official_vision.data.video import VideoError
    from official_vision.serving.predict import Predictor

    predictor = Predictor(model)
    done, failed = [], 0
    # None shows the bar on a terminal only.
    bar = tqdm(pictures.items(), unit="video", disable=None if len(pictures) > 1 else True)
    for picture, video in bar:
        try:
            done.append(_predict(predictor, video, picture))
        except VideoError as error:
            tqdm.write(f"error: {error}", file=sys.stderr)
            failed += 1
    if _JSON.value:
        files.write_json(_JSON.value, done)
    if failed:
        return cli.SOME_LEFT_OUT if done else 1
    return 0


def _predict(predictor: Predictor, video: str, picture: Path) -> dict[str, Any]:
    from official_vision.serving.predict import to_dict, to_text
    from official_vision.serving.timeline import draw_timeline

    prediction = predictor.predict(
        video, stride=_STRIDE.value, batch_size=_BATCH_SIZE.value, threshold=_THRESHOLD.value
    )
    draw_timeline(
        picture,
        Path(video).name,
        prediction.frame_scores,
        prediction.times_sec,
        prediction.labels,
        prediction.samples,
    )
    tqdm.write(f"{to_text(prediction)}\ntimeline drawn in {picture}")
    return to_dict(prediction)


def _pictures(videos: list[str], folder: Path) -> dict[Path, str]:
    """A file for each video's timeline; videos of one name in several folders get numbers."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--output_dir must be a folder that can be written. Received: {folder} ({error.strerror})."
        ) from error
    pictures: dict[Path, str] = {}
    for video in videos:
        stem, number = Path(video).stem, 1
        picture = folder / f"{stem}.timeline.png"
        while picture in pictures:
            number += 1
            picture = folder / f"{stem}-{number}.timeline.png"
        pictures[picture] = video
    return pictures


if __name__ == "__main__":
    cli.run(main)
