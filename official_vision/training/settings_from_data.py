"""Settings that follow from the data: classes, object ids, and label rules; and what two splits must share."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.data.input.pipeline import check_num_classes, read_index
from official_vision.data.storage.index import Index, Labelling
from official_vision.data.storage.split_comparison import class_difference, preparation_differences
from official_vision.errors import UserError
from official_vision.modeling.builder import resolve_architecture
from official_vision.modeling.inputs import streams_of
from official_vision.specs import DataSpec, ModelSpec

SPLITS = ("train", "validation")


def read_splits(config: Config, architecture: Architecture) -> dict[str, Index]:
    """Reads the indexes of both splits.

    Raises:
      UserError: no prepared split, one that lacks a stream, a wrong ModelSpec.num_classes, or splits of
        different classes.
    """
    streams = streams_of(architecture, config.model)
    indexes = {name: read_index(_data(config, name), streams, None, name) for name in SPLITS}
    train, validation = (indexes[name].classes for name in SPLITS)
    if difference := class_difference(train, validation):
        raise UserError(
            "Both splits must have the same classes in the same order. Received: "
            f"{config.train_data.path} and {config.validation_data.path}, {difference}. "
            "Prepare both from one annotation file or list of classes."
        )
    if config.model.num_classes is not None:
        check_num_classes(config.model.num_classes, indexes["train"], config.train_data.path)
    return indexes


def settle(config: Config) -> Config:
    """Returns the settings whose values None are filled in from the data; see `settled`."""
    architecture = resolve_architecture(config.model)
    return settled(config, architecture, read_splits(config, architecture))


def settled(config: Config, architecture: Architecture, indexes: Mapping[str, Index]) -> Config:
    """Fills in num_classes, num_object_classes, activation and label_rule by the data, where they are None.

    Args:
      config: every setting.
      architecture: the graph.
      indexes: of the train and validation data.

    Raises:
      UserError: fewer object ids than the data have; softmax for clips that don't have exactly one label.
    """
    data = {
        name: dataclasses.replace(
            _data(config, name), label_rule=_rule(_data(config, name), indexes[name], name)
        )
        for name in SPLITS
    }
    ids = max(index.num_object_ids for index in indexes.values())
    has_objects = "objects" in streams_of(architecture, config.model)
    if has_objects and ids:
        _check_ids(config.model, ids, indexes)
    share = config.loss.frame_share
    is_single = not _several(indexes["train"].labelling, data["train"], share)
    numbers = {
        "num_classes": len(indexes["train"].classes),
        "activation": "softmax" if is_single else "sigmoid",
        **({"num_object_classes": ids} if has_objects and ids else {}),
    }
    model = config.model.with_numbers(**numbers)
    if model.activation == "softmax":
        for name in SPLITS:
            trained_on = share if name == "train" else 0.0
            _check_single(indexes[name].labelling, data[name], name, trained_on)
    if share == 1 and model.frame_pooling == "softmax":
        raise UserError(
            "LossSpec.frame_share = 1 trains frames alone, and no weights of frames. Received: "
            "ModelSpec.frame_pooling = 'softmax', whose weights are learned. Take 'max', or a share below 1."
        )
    return dataclasses.replace(
        config, model=model, train_data=data["train"], validation_data=data["validation"]
    )


def notes_on_settings(
    config: Config, model_spec: ModelSpec, architecture: Architecture, indexes: Mapping[str, Index]
) -> list[str]:
    """Returns lines about a run's data, to be shown before it starts.

    Args:
      config: settled.
      model_spec: the model's settings as the user set them.
      architecture: the graph.
      indexes: of the train and validation data.
    """
    model, train = config.model, indexes["train"]
    counts = ", ".join(f"{name} {indexes[name].num_videos}" for name in SPLITS)
    labels = "one label per clip" if model.activation == "softmax" else "any number of labels"
    line = f"data: {counts} videos; {model.num_classes} classes, {labels} ({model.activation})"
    lines = [line, *_notes_on_objects(config, model_spec, architecture, indexes)]
    share = config.loss.frame_share
    reason = _several(train.labelling, config.train_data, share)
    if model_spec.activation is None and reason:
        lines[0] += f": {reason}"
    if share and train.labelling.timed is None:
        lines.append(
            f"LossSpec.frame_share = {share:g}: no label has times, frames carry their video's"
        )
    if train.labelling.timed is not None:
        lines.append(_notes_on_times(config.train_data, config.validation_data, train.labelling))
    lines += [
        f"warning: the splits were prepared differently: {line}"
        for line in preparation_differences(train, indexes["validation"])
    ]
    return lines


def _data(config: Config, name: str) -> DataSpec:
    return config.train_data if name == "train" else config.validation_data


def _rule(spec: DataSpec, index: Index, name: str) -> str:
    if spec.label_rule is not None:
        return spec.label_rule
    is_cut = name == "train" and index.labelling.timed is not None
    return "any_overlap" if is_cut else "whole_video"


def _several(labelling: Labelling, spec: DataSpec, frame_share: float) -> str:
    """Returns why a clip, or a frame that is trained on, may not have exactly one label, empty where each has."""
    if labelling.without is not None:
        return f"video {labelling.without!r} has no label"
    if labelling.several is not None:
        return f"video {labelling.several!r} has several labels"
    if labelling.timed is not None and (spec.label_rule != "whole_video" or frame_share):
        return f"video {labelling.timed!r} has a label for a part of it alone"
    return ""


def _check_single(labelling: Labelling, spec: DataSpec, name: str, frame_share: float) -> None:
    reason = _several(labelling, spec, frame_share)
    if not reason:
        return
    is_timed = labelling.without is None and labelling.several is None and not frame_share
    whole = f"set {name}/DataSpec.label_rule = 'whole_video', " if is_timed else ""
    raise UserError(
        "ModelSpec.activation = 'softmax' needs clips with exactly one label. Received: "
        f"{spec.path}, in which {reason}. Mend the labels, {whole}or set ModelSpec.activation = 'sigmoid'."
    )


def _check_ids(model: ModelSpec, ids: int, indexes: Mapping[str, Index]) -> None:
    if model.num_object_classes is not None and model.num_object_classes < ids:
        most = max(indexes.values(), key=lambda index: index.num_object_ids)
        raise UserError(
            "ModelSpec.num_object_classes must be no less than the data's ids. Received: "
            f"{model.num_object_classes}, and the {most.split} data have {ids}. Set it to {ids}, or leave it out."
        )


def _notes_on_objects(
    config: Config, model_spec: ModelSpec, architecture: Architecture, indexes: Mapping[str, Index]
) -> Iterator[str]:
    if "objects" not in streams_of(architecture, config.model):
        return
    ids, channels = (
        max(index.num_object_ids for index in indexes.values()),
        config.model.num_object_classes,
    )
    if not ids:
        yield f"objects: the data name no ids; the object stream has {channels} channels"
    elif model_spec.num_object_classes is not None and channels > ids:
        yield (
            f"note: ModelSpec.num_object_classes = {channels}, of which the data have {ids} ids: {channels - ids} "
            "channels of the object stream are always 0"
        )


def _notes_on_times(train: DataSpec, validation: DataSpec, labelling: Labelling) -> str:
    rules = {
        "whole_video": "carry all of their video's labels, ignoring times",
        "any_overlap": "carry the labels that they overlap",
        "half_overlap": "carry the labels that they overlap by half",
    }
    if validation.label_rule == "whole_video":
        judged = "evaluation judges whole videos by all of their labels"
    else:
        judged = f"evaluation clips {rules[validation.label_rule]}"
    return (
        f"labels have times (the first are of video {labelling.timed!r}): training clips {rules[train.label_rule]} "
        f"(train/DataSpec.label_rule = {train.label_rule!r}); {judged}"
    )
