"""Classifies whole videos: predict --model=EXPORT --video=FILE [--video=FILE ...] [--output_dir=DIR].

Prints the top classes with their times and draws <video>.timeline.png. Exit status: 0, or 3 when some
videos could not be read (they are named), or 1 when none could.
"""

import sys
from pathlib import Path

from absl import flags
from tqdm import tqdm

from official_vision import cli, files
from official_vision.errors import UserError

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
    # Imported late: --help and mistakes are answered before TensorFlow starts.
    from official_vision.serving.predict import Predictor, to_dict, to_text
    from official_vision.serving.timeline import draw_timeline

    predictor = Predictor(_MODEL.value)
    done, failed = [], 0
    for video in tqdm(_VIDEO.value, unit="video", disable=None if len(_VIDEO.value) > 1 else True):
        try:
            prediction = predictor.predict(
                video,
                stride=_STRIDE.value,
                batch_size=_BATCH_SIZE.value,
                threshold=_THRESHOLD.value,
            )
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        picture = Path(_OUTPUT_DIR.value) / f"{Path(video).stem}.timeline.png"
        draw_timeline(
            picture,
            Path(video).name,
            prediction.frame_scores,
            prediction.times_sec,
            prediction.labels,
            prediction.samples,
        )
        print(to_text(prediction))
        print(f"timeline drawn in {picture}")
        done.append(to_dict(prediction))
    if _JSON.value:
        files.write_json(_JSON.value, done)
    if failed:
        return cli.SOME_LEFT_OUT if done else 1
    return 0


if __name__ == "__main__":
    cli.run(main)
