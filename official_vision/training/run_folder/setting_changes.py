"""Differences between a run's recorded settings and those with which it is to continue."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from official_vision.config import Config

# Settings without which the checkpoint's weights don't fit. The graph itself is compared as a file.
_OF_WEIGHTS = frozenset(
    f"model.{name}"
    for name in ("gate", "num_classes", "num_object_classes", "frame_pooling", "flow_source")
)
_CLIP = ("frames", "frame_stride", "size", "short_video", "label_rule")
# Settings that change what weights mean, what they are fed or how they are judged.
_OF_MEANING = frozenset(
    (
        *(f"{data}.{name}" for data in ("train_data", "validation_data") for name in _CLIP),
        *("model.rgb_mean", "model.rgb_deviation", "model.activation"),
        *("model.flow_iterations", "model.flow_border", "model.flow_stretch", "train.precision"),
        *("optimizer.name", "optimizer.ema_decay", "architecture_optimizer.name"),
    )
)
# Settings that don't change what is learned, or that are compared in another way.
_WITHOUT_EFFECT = frozenset(
    (
        *("model.architecture", "model.depth", "model.width_multiplier", "model.flow_compiled"),
        "model.plain_tensorflow",
        *("train_data.path", "validation_data.path", "validation_data.batch_size"),
        *(
            f"train.{name}"
            for name in (
                *("model_dir", "steps", "steps_per_loop", "pictures", "checkpoints_kept"),
                *("validation_interval", "checkpoint_interval", "connections_interval"),
                *("init_checkpoint", "init_classifier", "strategy", "devices", "tpu"),
                *("threads_per_operation", "rollbacks", "rematerialise", "compiled"),
                *("exchange_precision", "input_servers"),
                *("held_out_clips", "held_out_megabytes", "loggers", "norms_interval"),
                *("early_stopping_patience", "early_stopping_figure"),
                *("early_stopping_mode", "early_stopping_min_delta"),
            )
        ),
    )
)
_OPTIMIZERS = ("optimizer", "architecture_optimizer")
_ELSEWHERE = ("prepare", "search", "evolution")  # sections that training does not read


@dataclasses.dataclass(frozen=True)
class Changes:
    """Differences, each as "section.name was A, is B".

    Attributes:
      of_weights: the checkpoint's weights don't fit any more.
      of_meaning: they fit, and mean something else.
      plain: other differences that training notices.
    """

    of_weights: tuple[str, ...] = ()
    of_meaning: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()


def changes_between(
    before: Mapping[str, Mapping[str, Any]], now: Config, *, of_model_alone: bool = False
) -> Changes:
    """Compares settings with those in a run's record.

    Args:
      before: a dict for each section, as of `Config.to_dict`; what it lacks counts as unchanged.
      now: settings, settled by the data.
      of_model_alone: of a folder in which nothing was trained yet.
    """
    changes: dict[str, list[str]] = {"of_weights": [], "of_meaning": [], "plain": []}
    for name, old, new in _differing(before, now):
        if name in _WITHOUT_EFFECT or (of_model_alone and not name.startswith("model.")):
            continue
        kind = "of_weights" if name in _OF_WEIGHTS else "plain"
        kind = "of_meaning" if name in _OF_MEANING else kind
        changes[kind].append(f"{name} was {old!r}, is {new!r}")
    return Changes(**{kind: tuple(lines) for kind, lines in changes.items()})


def _differing(
    before: Mapping[str, Mapping[str, Any]], now: Config
) -> Iterator[tuple[str, Any, Any]]:
    sections = now.to_dict()
    skipped = {*_ELSEWHERE}
    if all(
        section.get(_OPTIMIZERS[0]) == section.get(_OPTIMIZERS[1]) for section in (before, sections)
    ):
        skipped.add(
            _OPTIMIZERS[1]
        )  # one optimizer for all weights: each of its changes is reported once
    for section, settings in sections.items():
        if section in skipped or section not in before:
            continue
        for name, value in settings.items():
            if name in before[section] and before[section][name] != value:
                yield f"{section}.{name}", before[section][name], value
