"""Explains a run's score of a clip: explain --model_dir=RUN --video=FILE --output=SHEET.png.

Writes a PNG sheet, and an HTML page with the numbers beside it: where the network looked (Grad-CAM of
each stream), how much the score falls without each stream, and which peer opened which channels of
which connection. In place of a video, --record=N takes one of the run's validation split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from official_vision import config, files
from official_vision.errors import UserError
from official_vision.names import shown

if TYPE_CHECKING:
    import tensorflow as tf

    from official_vision.data.storage.index import Index
    from official_vision.training.clip_scoring import Trained

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "A run's folder.")
_CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best, latest or a path prefix.")
_VIDEO = flags.DEFINE_string("video", None, "Video file.")
_START_SEC = flags.DEFINE_float("start_sec", 0.0, "Where the video's clip begins.", lower_bound=0)
_RECORD = flags.DEFINE_integer(
    "record", None, "Number of a record of the validation split, from 0.", lower_bound=0
)
_DATA = flags.DEFINE_string(
    "data",
    None,
    "Folder of a prepared split whose record is shown, in place of the run's validation data.",
)
_LEVEL = flags.DEFINE_integer(
    "level",
    1,
    "Level of the nodes whose activations are weighed; 0 takes the stems.",
    lower_bound=0,
    upper_bound=4,
)
_LABEL = flags.DEFINE_string("label", None, "Class to explain; by default the strongest.")
_OUTPUT = flags.DEFINE_string("output", "explanation.png", "PNG to write; the page lies beside it.")


def main() -> None:
    """Writes the sheet and the page."""
    if not _MODEL_DIR.value or (_VIDEO.value is None) == (_RECORD.value is None):
        raise UserError(
            "--model_dir and one of --video and --record must be set. Received: "
            f"{_MODEL_DIR.value!r}, {_VIDEO.value!r} and {_RECORD.value}. Name a run and a clip."
        )
    if not _OUTPUT.value.endswith(".png"):
        raise UserError(f"--output must end in .png. Received: {_OUTPUT.value}. Change its suffix.")
    config.read(_MODEL_DIR.value)
    for path in (_OUTPUT.value, _OUTPUT.value.removesuffix(".png") + ".html"):
        files.check_writable(path, "--output")
    # Imported late: --help and mistakes get their message before TensorFlow starts.
    from official_vision.serving.explain.explanation import explain
    from official_vision.serving.explain.explanation_sheet import pictures_of, write_sheet
    from official_vision.training.clip_scoring import load_trained

    trained = load_trained(_MODEL_DIR.value, _CHECKPOINT.value, data=_DATA.value)
    model, settings = trained.model, trained.config
    # Of a video, all that is needed is in the run's folder; the data may be gone.
    described = trained.described_index() if _VIDEO.value and not _DATA.value else None
    index = described or trained.validation_index()
    clip = _clip(trained, index)
    explanation = explain(model, clip, _LEVEL.value, _label_index(index))
    pictures = pictures_of({name: x.numpy()[0] for name, x in clip.items()}, list(explanation.maps))
    named = _VIDEO.value or f"{settings.validation_data.path}, record {_RECORD.value}"
    write_sheet(
        _OUTPUT.value, shown(f"{named} by {_MODEL_DIR.value}"), explanation, index.classes, pictures
    )
    _report(index, explanation.label_index, explanation.scores, explanation.drops)


def _clip(trained: Trained, index: Index) -> dict[str, tf.Tensor]:
    from official_vision.serving.explain.run_clips import clip_of_record, clip_of_video

    if _VIDEO.value is None:
        return clip_of_record(trained, index, _RECORD.value)
    return clip_of_video(trained, index, _VIDEO.value, _START_SEC.value)


def _label_index(index: Index) -> int | None:
    if _LABEL.value is None:
        return None
    if _LABEL.value not in index.classes:
        raise UserError(
            f"--label must be a class of the run: {', '.join(index.classes[:10])}"
            f"{', ...' if len(index.classes) > 10 else ''}. Received: {_LABEL.value!r}. Name one of them."
        )
    return index.classes.index(_LABEL.value)


def _report(index: Index, label_index: int, scores: object, drops: dict[str, float]) -> None:
    from official_vision.serving.explain.explanation_sheet import WORTH

    print(f"{index.classes[label_index]}: {scores[label_index]:.3f}")
    print(f"  {WORTH}")
    for stream, drop in drops.items():
        print(f"  {stream}: {drop:+.3f} (blanked: {scores[label_index] - drop:.3f})")
    print(f"sheet drawn in {_OUTPUT.value}, page with all gates beside it")
