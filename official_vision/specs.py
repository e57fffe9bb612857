"""Everything a user can set, as frozen dataclasses that check themselves.

The classes are plain Python: `ModelSpec(depth=26)` works anywhere. `config.py` lets gin build them.
Every field states its rule beside its default, so that one generic check serves all classes.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from official_vision.errors import UserError, nearest


def _setting(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field with a default and its rule: low <= value <= high, value > above, or one of `choices`."""
    rule = {"low": low, "high": high, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=rule)


class Spec:
    """Base of all specs: checks types and ranges, turns gin's lists into tuples."""

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            value = tuple(value) if isinstance(value, list) else value
            value = _as_float(value, hints[field.name])
            object.__setattr__(self, field.name, value)
            where = f"{type(self).__name__}.{field.name}"
            _check_type(where, value, hints[field.name])
            for item in value if isinstance(value, tuple) else (value,):
                _check_rule(where, item, field.metadata)

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Spec:
        """Builds the spec from what `to_dict` returned; unknown names are refused."""
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise UserError(f"{cls.__name__} has no setting {name!r}. {nearest(name, known)}")
        return cls(**values)


def _as_float(value: Any, hint: Any) -> Any:
    """An int is a fine float; a bool is not."""
    wants_float = hint is float or float in typing.get_args(hint)
    return float(value) if wants_float and type(value) is int else value


def _check_type(where: str, value: Any, hint: Any) -> None:
    if not _matches(value, hint):
        wanted = getattr(hint, "__name__", str(hint)) if not typing.get_args(hint) else str(hint)
        raise UserError(f"{where} must be {wanted}. Received: {value!r} ({type(value).__name__}).")


def _matches(value: Any, hint: Any) -> bool:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_matches(item, arguments[0]) for item in value)
    if arguments:
        return any(_matches(value, option) for option in arguments)
    return type(value) is hint


def _check_rule(where: str, value: Any, rule: Mapping[str, Any]) -> None:
    if value is None or not rule:
        return
    if rule["choices"] and value not in rule["choices"]:
        raise UserError(
            f"{where} must be one of {', '.join(rule['choices'])}. Received: {value!r}."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where} must be finite. Received: {value!r}.")
    for key, words, holds in (
        ("low", "at least", lambda bound: value >= bound),
        ("high", "at most", lambda bound: value <= bound),
        ("above", "greater than", lambda bound: value > bound),
    ):
        if rule[key] is not None and not holds(rule[key]):
            raise UserError(f"{where} must be {words} {rule[key]:g}. Received: {value!r}.")


@dataclasses.dataclass(frozen=True)
class ModelSpec(Spec):
    """The network: which graph, how wide and deep, and how connections are gated.

    Attributes:
      architecture: a name from the zoo (architecture/zoo.py) or the path of an architecture JSON file.
      depth: residual modules a level, by the usual names 26 to 101; None keeps the architecture's own.
      width_multiplier: scales every convolution's channels; 1 is the paper's network, None keeps the
        architecture's own (a derived one has the width of the network that it comes from).
      gate: what opens a connection's channels (REFERENCE section 5): none, static, self or peer. With
        peer, blocks whose architecture names chosen peers get discrete gates, others one-shot gates.
      num_classes: classes to predict; must equal the data set's. 157 is Charades.
      num_object_classes: ids of the object stream, 0 to this less 1; 151 is ADE20K with "none".
      frame_pooling: how per-frame logits become the clip's (A.3 takes the maximum): max, mean (of
        features) or softmax (weights learned over frames).
      activation: sigmoid for several labels a clip, softmax for exactly one.
      flow_source: stored (the flow stream of the data) or computed (from rgb, inside the model).
      flow_iterations: TV-L1 iterations of the computed flow (Piergiovanni & Ryoo 2019).
      dropout_rate: of the features before the classifier, 0 to 1.
    """

    architecture: str = "assemblenet_plus_plus_50"
    depth: int | None = _setting(None, low=1)
    width_multiplier: float | None = _setting(None, above=0)
    gate: str = _setting("peer", choices=("none", "static", "self", "peer"))
    num_classes: int = _setting(157, low=1)
    num_object_classes: int = _setting(151, low=1, high=255)
    frame_pooling: str = _setting("max", choices=("max", "mean", "softmax"))
    activation: str = _setting("sigmoid", choices=("sigmoid", "softmax"))
    flow_source: str = _setting("stored", choices=("stored", "computed"))
    flow_iterations: int = _setting(40, low=1)
    dropout_rate: float = _setting(0.5, low=0, high=0.99)


@dataclasses.dataclass(frozen=True)
class DataSpec(Spec):
    """One prepared split and how clips are cut from it; gin scopes train/ and validation/ set both.

    Attributes:
      path: folder of one split, as tools/prepare_data.py wrote it (it holds index.json).
      batch_size: clips a step over all devices together.
      frames: frames of a clip.
      frame_stride: step between a clip's frames, in stored frames.
      size: height and width of a clip in pixels.
      min_crop_area: training crops cover at least this share of the frame (1 only moves the crop).
      flip: mirror half of the training clips.
      short_video: what fills a clip that outlasts its video: loop it or hold its last frame.
      label_rule: which timed labels a clip carries: whole_video (all of the video's), any_overlap, or
        half_overlap (the label covers at least half of the clip, or lies in it by half).
      views: clips of each video at evaluation, evenly spread over its length.
      crops: square crops of each clip at evaluation, spread along the longer side; 1 is the centre.
      shuffle_buffer: records held for shuffling in training.
      seed: of shuffling, span and crop.
    """

    path: str = ""
    batch_size: int = _setting(16, low=1)
    frames: int = _setting(32, low=1)
    frame_stride: int = _setting(1, low=1)
    size: int = _setting(224, low=16)
    min_crop_area: float = _setting(0.35, above=0, high=1)
    flip: bool = True
    short_video: str = _setting("loop", choices=("loop", "hold"))
    label_rule: str = _setting(
        "whole_video", choices=("whole_video", "any_overlap", "half_overlap")
    )
    views: int = _setting(1, low=1)
    crops: int = _setting(1, low=1, high=3)
    shuffle_buffer: int = _setting(256, low=1)
    seed: int = _setting(0, low=0)


@dataclasses.dataclass(frozen=True)
class OptimizerSpec(Spec):
    """How weights move: handed to Model Garden's optimizer factory.

    Attributes:
      name: an optimizer of Model Garden (sgd, adamw_experimental, lars, ...) or, written
        tfa:ClassName, of tensorflow-addons.
      learning_rate: at the reference batch size, after warm-up.
      reference_batch_size: the rate is scaled by batch_size / this (linear scaling); None does not scale.
      schedule: cosine, constant, or stepwise (x 0.1 at each of `boundaries`).
      boundaries: steps at which stepwise drops.
      warmup_steps: linear warm-up from zero.
      momentum: of sgd and lars.
      weight_decay: on convolution and dense kernels only.
      decay: l2 adds the penalty to the loss; decoupled shrinks weights beside the gradient step
        (tensorflow-addons' by weight_decay itself, not times the learning rate).
      gradient_clip_norm: global norm to clip at; None does not clip.
      ema_decay: moving average of the weights, evaluated and exported in their place; None keeps none.
    """

    name: str = "sgd"
    learning_rate: float = _setting(0.1, above=0)
    reference_batch_size: int | None = _setting(None, low=1)
    schedule: str = _setting("cosine", choices=("cosine", "constant", "stepwise"))
    boundaries: tuple[int, ...] = _setting((), low=1)
    warmup_steps: int = _setting(0, low=0)
    momentum: float = _setting(0.9, low=0, high=1)
    weight_decay: float = _setting(1e-4, low=0)
    decay: str = _setting("l2", choices=("l2", "decoupled"))
    gradient_clip_norm: float | None = _setting(None, above=0)
    ema_decay: float | None = _setting(None, above=0, high=1)


@dataclasses.dataclass(frozen=True)
class TrainSpec(Spec):
    """A training run.

    Attributes:
      model_dir: folder of checkpoints, summaries and the resolved configuration.
      steps: training steps in all; a resumed run stops at the same step.
      steps_per_loop: steps between two progress reports.
      validation_interval: steps between evaluations.
      checkpoint_interval: steps between checkpoints.
      checkpoints_kept: newest checkpoints on disk.
      best_metric: evaluation figure by which the best checkpoint is kept, e.g. mAP or top_1.
      label_smoothing: share of each target given to all classes evenly.
      init_checkpoint: checkpoint or model folder to start from; empty starts afresh.
      strategy: one_device, mirrored, multi_worker_mirrored or tpu (tf.distribute).
      num_gpus: GPUs for mirrored strategies; 0 uses the CPU.
      tpu: address of the TPU; read by strategy tpu only.
      precision: float32, mixed_bfloat16 or mixed_float16 (with loss scaling).
      seed: of weight initialisation and dropout.
    """

    model_dir: str = ""
    steps: int = _setting(1000, low=1)
    steps_per_loop: int = _setting(20, low=1)
    validation_interval: int = _setting(500, low=1)
    checkpoint_interval: int = _setting(500, low=1)
    checkpoints_kept: int = _setting(3, low=1)
    best_metric: str = "mAP"
    label_smoothing: float = _setting(0.0, low=0, high=0.99)
    init_checkpoint: str = ""
    strategy: str = _setting(
        "one_device", choices=("one_device", "mirrored", "multi_worker_mirrored", "tpu")
    )
    num_gpus: int = _setting(0, low=0)
    tpu: str = ""
    precision: str = _setting("float32", choices=("float32", "mixed_bfloat16", "mixed_float16"))
    seed: int = _setting(0, low=0)


@dataclasses.dataclass(frozen=True)
class PrepareSpec(Spec):
    """How videos become shards.

    Attributes:
      annotations: the annotation file (or folder) that names videos and labels.
      annotation_format: reader in data/annotations/: csv, json_lines or folders.
      videos: folder that the annotation's paths are relative to.
      output: folder to write; each split gets a folder of its own there.
      short_side: shorter side of the stored frames in pixels.
      fps: frames a second to re-time to; None keeps the video's own.
      flow: dis (OpenCV), tvl1 (Piergiovanni & Ryoo 2019) or none.
      flow_bound: largest stored displacement in pixels a frame; larger ones are clipped.
      objects: opencv (its face and body detectors) or none.
      jpeg_quality: of stored frames, 1 to 100.
      videos_per_shard: videos that share one shard file.
      runner: local (processes on this machine) or a runner of Apache Beam: DirectRunner, FlinkRunner, ...
        All its machines must see `videos` and `output` under the same paths.
      runner_options: command-line options of that runner, e.g. ('--flink_master=host:8081',).
      workers: processes that decode (local runner).
      video_timeout_sec: a video that takes longer is left out and named.
      left_out_is_fatal: exit with status 1 when any video was left out (else 3 says that some were).
    """

    annotations: str = ""
    annotation_format: str = _setting("csv", choices=("csv", "json_lines", "folders"))
    videos: str = ""
    output: str = ""
    short_side: int = _setting(256, low=16)
    fps: float | None = _setting(None, above=0)
    flow: str = _setting("dis", choices=("dis", "tvl1", "none"))
    flow_bound: float = _setting(20.0, above=0)
    objects: str = _setting("opencv", choices=("opencv", "none"))
    jpeg_quality: int = _setting(95, low=1, high=100)
    videos_per_shard: int = _setting(64, low=1)
    runner: str = "local"
    runner_options: tuple[str, ...] = ()
    workers: int = _setting(2, low=1)
    video_timeout_sec: float = _setting(600.0, above=0)
    left_out_is_fatal: bool = False
