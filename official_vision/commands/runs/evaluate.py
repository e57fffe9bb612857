"""Evaluates a run, or the stored scores of an evaluation.

    evaluate --model_dir=DIR [--checkpoint=best|latest|PATH] [--dump=SCORES.npz] [--blank_streams]
    evaluate --scores=SCORES.npz [--scores=OTHER.npz ...] [--weights=0.6,0.4]
    evaluate --judge_localisation=SUBMISSION.txt --data=Charades_v1_test.csv

The first scores every clip of the validation data; settings that no flag changes are those that training
saved in the folder. With --localise it also scores every frame of whole videos, and judges when classes are there.
The second needs no model: it pools and evaluates stored scores again, and averages those of several networks. Both
print every class beside its base rate, and figures with bootstrap intervals. The third judges a submission to
Charades' localisation, of another program too, as the official script does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING

from absl import flags

from official_vision import config, files
from official_vision.errors import UserError
from official_vision.metrics.localisation.windows import MERGES
from official_vision.progress import tracked
from official_vision.specs import EvaluationSpec

if TYPE_CHECKING:
    from official_vision.metrics.evaluation_report import Report
    from official_vision.metrics.localisation.result import Localisation
    from official_vision.metrics.scores import VideoScores
    from official_vision.training.clip_scoring import Trained

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "A run's folder, TrainSpec.model_dir of training."
)
_CHECKPOINT = flags.DEFINE_string(
    "checkpoint", "best", "best, latest or a checkpoint's path prefix."
)
_BLANK = flags.DEFINE_bool("blank_streams", False, "Also evaluate with each stream blanked.")
_DATA = flags.DEFINE_string(
    "data",
    None,
    "Folder of a prepared split to evaluate on, in place of validation/DataSpec.path; with --judge_localisation also "
    "the csv file of Charades.",
)
_VIEWS = flags.DEFINE_integer("views", None, "Clips of each video.", lower_bound=1)
_CROPS = flags.DEFINE_integer("crops", None, "Crops per clip.", lower_bound=1, upper_bound=3)
_FRAMES = flags.DEFINE_integer("frames", None, "Frames per clip.", lower_bound=1)
_SIZE = flags.DEFINE_integer("size", None, "Height and width of a clip.", lower_bound=16)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", None, "Clips at a time.", lower_bound=1)
_DEVICES = flags.DEFINE_string(
    "devices", None, "auto, cpu or a number of GPUs that share a batch, in place of the run's."
)
_DUMP = flags.DEFINE_string(
    "dump", None, "File (.npz) to keep every clip's and video's scores in, for --scores."
)
_SCORES = flags.DEFINE_multi_string(
    "scores", [], "Kept scores to judge; of several files, the mean of the probabilities."
)
_WEIGHTS = flags.DEFINE_list("weights", None, "How much each file of --scores counts.")
_POOLING = flags.DEFINE_enum(
    "pooling", None, ["mean", "max", "top_k"], "Over a video's clips and crops."
)
_TOP_K = flags.DEFINE_integer("top_k", None, "Clips that top_k pooling averages.", lower_bound=1)
_POOLED_VALUES = flags.DEFINE_enum(
    "pooled_values", None, ["probabilities", "logits"], "What is pooled."
)
_RESAMPLES = flags.DEFINE_integer(
    "resamples", None, "Bootstrap resamples for intervals; 0 leaves them out.", lower_bound=0
)
_CLASSES = flags.DEFINE_string(
    "classes", "all", "Rows of the printed table: all, none, best:N or worst:N."
)
_JSON = flags.DEFINE_string("json", None, "File to write all figures to.")
_SUBMISSION = flags.DEFINE_string(
    "charades_submission", None, "File to write scores to as Charades' official script reads them."
)
_LOCALISE = flags.DEFINE_bool(
    "localise",
    False,
    "Also score every frame of whole videos: Charades' official localisation, at 25 points of each video, and mAP "
    "over all stored frames.",
)
_MERGE = flags.DEFINE_enum(
    "merge",
    None,
    MERGES,
    "How windows become scores of frames. frames (the default): each frame's score; windows: a window's score counts "
    "for all of its frames. With --localise.",
)
_STRIDE = flags.DEFINE_integer(
    "stride",
    None,
    "Stored frames between windows; half a window by default. With --localise.",
    lower_bound=1,
)
_SMOOTHING_SEC = flags.DEFINE_float(
    "smoothing_sec",
    None,
    "Width of a moving average over the scores of frames; 0 by default. With --localise.",
    lower_bound=0,
)
_LOCALISATION = flags.DEFINE_string(
    "charades_localisation",
    None,
    "File to write the scores of points to as Charades' official script reads them. With --localise.",
)
_JUDGED = flags.DEFINE_string(
    "judge_localisation", None, "Submission to Charades' localisation to judge by --data."
)
# Fields of DataSpec; with those below them they only make sense beside a model.
_OF_CLIPS = (_VIEWS, _CROPS, _FRAMES, _SIZE, _BATCH_SIZE)
_OF_MODEL = (_DUMP, _DEVICES, *_OF_CLIPS)
_OF_FRAMES = (_MERGE, _STRIDE, _SMOOTHING_SEC, _LOCALISATION)


def main() -> None:
    """Prints the table of classes and the figures."""
    # Imported late: --help and mistakes get their message at once. No TensorFlow yet: scores need none.
    from official_vision.metrics import evaluation_report

    choice = evaluation_report.ClassChoice.parse(_CLASSES.value)
    _check_flags()
    if _JUDGED.value:
        _judge()
        return
    report, scored = _of_scores() if _SCORES.value else _of_model()
    print(evaluation_report.to_text(report, choice))
    if _JSON.value:
        files.write_json(_JSON.value, evaluation_report.to_dict(report))
    if _SUBMISSION.value:
        from official_vision.metrics.charades_map import write_submission

        write_submission(_SUBMISSION.value, scored.ids, scored.scores, scored.classes)


def _check_flags() -> None:
    named = [flag.name for flag in (_MODEL_DIR, _SCORES, _JUDGED) if flag.value]
    if len(named) != 1:
        received = {0: "none", 2: "both"}.get(len(named), "all")
        raise UserError(
            "--model_dir must name a run's folder, or --scores a file of scores, or --judge_localisation a "
            f"submission. Received: {received}. Give one of them."
        )
    _check_fit(named[0])
    if _WEIGHTS.value and not _SCORES.value:
        raise UserError(f"--weights requires --scores. Received: --{named[0]}. Leave it out.")
    for flag in (_JSON, _SUBMISSION, _DUMP, _LOCALISATION):
        if flag.value:
            files.check_writable(flag.value, f"--{flag.name}")
    if _MODEL_DIR.value:
        config.read_record(_MODEL_DIR.value)  # a wrong folder is named before TensorFlow starts


def _check_fit(mode: str) -> None:
    """Refuses flags that the given kind of evaluation does not read."""
    unread = {
        "model_dir": (),
        "scores": (_DATA, *_OF_MODEL, *_OF_FRAMES),
        "judge_localisation": (*_OF_MODEL, *_OF_FRAMES, _SUBMISSION),
    }
    unfit = [flag.name for flag in unread[mode] if flag.value is not None]
    unfit += ["localise"] if _LOCALISE.value and mode != "model_dir" else []
    if unfit:
        raise UserError(
            f"--{unfit[0]} requires --model_dir. Received: --{mode}. Leave one of them out."
        )
    without = [flag.name for flag in _OF_FRAMES if flag.value is not None]
    if without and not _LOCALISE.value:
        raise UserError(f"--{without[0]} requires --localise. Received: none. Add it.")
    if mode == "judge_localisation" and not _DATA.value:
        raise UserError(
            "--judge_localisation requires --data, a prepared split or Charades' csv file. Received: none. Add it."
        )


def _judge() -> None:
    """Prints the figures of somebody's submission to Charades' localisation."""
    from official_vision.data.annotations.stated_times import stated_times
    from official_vision.metrics.charades_map import check_submission
    from official_vision.metrics.localisation.result import judge_submission
    from official_vision.metrics.localisation.submission import read_localisation

    classes, truth = stated_times(_DATA.value)
    check_submission([video for video, *_ in truth], classes)
    scores = read_localisation(_JUDGED.value)
    known = {video for video, *_ in truth}
    judged = judge_submission(truth, scores, classes)
    print(f"{_JUDGED.value}, {judged.videos} videos", *judged.lines(), sep="\n")
    if others := sorted(scores.keys() - known):
        print(
            f"{len(others)} videos that {_DATA.value} lacks are left alone, {others[0]!r} the first"
        )
    if _JSON.value:
        files.write_json(_JSON.value, {"submission": _JUDGED.value, **judged.to_dict()})


def _changed(spec: EvaluationSpec) -> EvaluationSpec:
    """Returns the settings with those that flags name in place of the run's."""
    of_flags = (_POOLING, _TOP_K, _POOLED_VALUES, _RESAMPLES)
    return dataclasses.replace(spec, **{f.name: f.value for f in of_flags if f.value is not None})


def _of_scores() -> tuple[Report, VideoScores]:
    from official_vision.metrics.dump import read_dump
    from official_vision.metrics.evaluation_report import Report
    from official_vision.metrics.run_fusion import fuse

    spec = _changed(EvaluationSpec())
    dumps = [read_dump(path) for path in _SCORES.value]
    scored = fuse([scores.pooled(spec) for scores in dumps], _SCORES.value, _weights())
    source = {
        "scores": [
            {"file": path, "provenance": scores.provenance}
            for path, scores in zip(_SCORES.value, dumps, strict=True)
        ],
        "weights": _weights(),
        "pooling": spec.to_dict(),
    }
    heading = " + ".join(
        f"{path} ({scores.pooled_as(spec)})"
        for path, scores in zip(_SCORES.value, dumps, strict=True)
    )
    return Report(heading, source, scored.evaluation(), scored.intervals(spec)), scored


def _weights() -> list[float] | None:
    try:
        return [float(weight) for weight in _WEIGHTS.value] if _WEIGHTS.value else None
    except ValueError as error:
        raise UserError(
            f"--weights must be numbers. Received: {','.join(_WEIGHTS.value)}. Write e.g. --weights=0.6,0.4."
        ) from error


def _of_model() -> tuple[Report, VideoScores]:
    from official_vision.metrics.dump import check_dump_path, write_dump

    if _DUMP.value:
        check_dump_path(_DUMP.value)
    from official_vision.training import clip_scoring
    from official_vision.training.evaluation_of_run import report_of

    trained = _trained()
    if _LOCALISATION.value:
        _check_submitted(trained)
    spec = trained.config.evaluation
    clips = clip_scoring.score_clips(trained, progress=_bar)
    if _DUMP.value:
        write_dump(_DUMP.value, clips, spec)
    without = clip_scoring.evaluate_without(trained, _bar) if _BLANK.value else {}
    scored = clips.pooled(spec)
    localisation = _localised(trained) if _LOCALISE.value else None
    return report_of(trained, clips, scored, without, localisation), scored


def _check_submitted(trained: Trained) -> None:
    """Refuses a submission of data that has no points, before anything is scored."""
    from official_vision.data.annotations.stated_times import stated_times
    from official_vision.metrics.charades_map import check_submission

    classes, truth = stated_times(trained.config.validation_data.path)
    check_submission([video for video, *_ in truth], classes)


def _localised(trained: Trained) -> Localisation:
    from official_vision.metrics.localisation.submission import write_localisation
    from official_vision.training.frame_scoring import FrameOptions, localise

    of_flags = {flag.name: flag.value for flag in (_MERGE, _STRIDE, _SMOOTHING_SEC)}
    options = FrameOptions(**{name: v for name, v in of_flags.items() if v is not None})
    result, points = localise(trained, options, _bar)
    if _LOCALISATION.value:
        write_localisation(_LOCALISATION.value, points, result.classes)
    return result


def _trained() -> Trained:
    """Returns the run's network, with the settings that flags change."""
    from official_vision.training import clip_scoring as evaluate

    strategy = evaluate.devices_of_run(_MODEL_DIR.value, _devices())
    trained = evaluate.load_trained(_MODEL_DIR.value, _CHECKPOINT.value, strategy, _DATA.value)
    of_flags = {flag.name: flag.value for flag in _OF_CLIPS}
    data = dataclasses.replace(
        trained.config.validation_data,
        **{name: value for name, value in of_flags.items() if value is not None},
    )
    evaluation = _changed(trained.config.evaluation)
    changed = dataclasses.replace(trained.config, validation_data=data, evaluation=evaluation)
    return dataclasses.replace(trained, config=changed)


def _devices() -> int | str | None:
    text = _DEVICES.value
    devices = int(text) if text is not None and text.isdecimal() else text
    if devices is None or devices in ("auto", "cpu") or (isinstance(devices, int) and devices > 0):
        return devices
    raise UserError(
        f"--devices must be auto, cpu or a number of GPUs. Received: {text}. Write e.g. --devices=1."
    )


def _bar(batches: Iterable, count: int) -> Iterable:
    return tracked(batches, count, "scoring", "batches")
