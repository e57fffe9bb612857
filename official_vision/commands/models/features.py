"""Writes features of whole videos: features --model=RUN_OR_EXPORT FILE|FOLDER ... [--of=head] [--output_dir=DIR].

Writes, for each video, <video>.npy or <video>.h5, and <video>.json with their frame rate, stride, offset and times.
Features are what the classifier reads, its logits, or a node's output averaged over height and width, of each frame
or of each window. A video whose files are there already, made with the same settings, is skipped. Exit status: 0, or
3 when some videos could not be worked on (they are named), or 1 when none could.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from official_vision import files
from official_vision.commands.models import many_videos
from official_vision.config import CONFIG_JSON
from official_vision.errors import UserError
from official_vision.lock import folder_locked
from official_vision.serving.export.description import SINGLE_FILES, version_folder, weights_file
from official_vision.serving.features.options import FILES, LAYOUTS, RATES, FeatureOptions

_USUAL = FeatureOptions()

flags.adopt_module_key_flags(many_videos)

_MODEL = flags.DEFINE_string(
    "model", None, "A run's folder, or one that official-vision export wrote (the newest version)."
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "best", "Of a run: best, latest or a checkpoint's path prefix."
)
_OF = flags.DEFINE_string(
    "of",
    _USUAL.of,
    "head: what the classifier reads; logits: what it computes; or a node's index, which official-vision inspect "
    "shows. An export has those nodes that its --feature_node named.",
)
_PER = flags.DEFINE_enum(
    "per",
    _USUAL.per,
    RATES,
    "What has a row. frame: each frame, the mean over the windows that show it, weighted towards their centres; "
    "window: each window that begins at a multiple of --stride.",
)
_LAYOUT = flags.DEFINE_enum("layout", _USUAL.layout, LAYOUTS, "Order of time and channels.")
_FILE = flags.DEFINE_enum("file", _USUAL.file, FILES, "Kind of file.")

# What may be named without a flag.
ARGUMENTS = "videos"


def main(named: Sequence[str]) -> int:
    """Extracts the features of every video that is not done."""
    videos = many_videos.named_videos(_MODEL.value, named)
    options = FeatureOptions(
        of=_OF.value,
        per=_PER.value,
        stride=many_videos.STRIDE.value,
        window=many_videos.WINDOW.value,
        batch_size=many_videos.BATCH_SIZE.value,
        layout=_LAYOUT.value,
        file=_FILE.value,
        broken_packet_share=many_videos.BROKEN_PACKET_SHARE.value,
    )
    folder = many_videos.OUTPUT_DIR.value
    files.check_folder_writable(folder, "--output_dir")
    model, checkpoint, weights = _model()
    with folder_locked(folder, "--output_dir", "extracting features"):
        for kind in FILES:
            files.remove_leftovers(folder, f".{kind}")
        return _extract(videos, model, checkpoint, weights, options)


def _model() -> tuple[str, str, Path]:
    """Returns the model's path, a run's checkpoint and the file of the weights, fixed at the start."""
    if not (Path(_MODEL.value) / CONFIG_JSON).is_file():
        folder = _export_folder()
        return str(folder), "", weights_file(folder)
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.training.checkpoints.restore import find_checkpoint

    checkpoint = find_checkpoint(_MODEL.value, _CHECKPOINT.value)
    return _MODEL.value, checkpoint, Path(f"{checkpoint}.index")


def _export_folder() -> Path:
    if Path(_MODEL.value).suffix in SINGLE_FILES:
        raise UserError(
            f"Features come from a run or a SavedModel. Received: {_MODEL.value}. Name the folder that it lies in."
        )
    try:
        return version_folder(_MODEL.value)
    except UserError as error:
        raise UserError(
            "--model names a run's folder or one that official-vision export has written. "
            f"Received: {_MODEL.value}, which is none. Name one."
        ) from error


def _extract(
    videos: Sequence[str], model: str, checkpoint: str, weights: Path, options: FeatureOptions
) -> int:
    from official_vision.serving.features.one_video import Job, load, outputs_of, run_job
    from official_vision.serving.videos.output_files import request_of

    outputs = outputs_of(videos, many_videos.OUTPUT_DIR.value, options)
    requests = {v: request_of(model, weights, v, options.to_dict()) for v in outputs}
    done = many_videos.finished(outputs, requests)
    left = [video for video in outputs if video not in done]
    if not left:
        return 0
    load(
        model, checkpoint, options=options
    )  # what it lacks is reported once, before the first video
    jobs = [Job(model, checkpoint, options, v, outputs[v], requests[v]) for v in left]
    return many_videos.work_through(run_job, jobs, "extracting", done)
