"""Class names in a run's folder: those that its classifier was trained on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from official_vision import files
from official_vision.data.storage.split_comparison import class_difference
from official_vision.errors import UserError
from official_vision.specs import TrainSpec

LABELS_FILE = "labels.txt"  # one name per line, in the order of the classifier's logits
_REMEDY = "One name per line, or JSON: a list of names, or an object of names and numbers."


def read_labels(path: str | os.PathLike) -> tuple[str, ...]:
    """Reads class names from a text file or JSON.

    Args:
      path: of a text file with one name per line; or, ending in .json, of a list of names, an object
        from number to name (Hugging Face's id2label) or from name to number (label2id); a whole
        Hugging Face config.json is read by its id2label.

    Returns:
      The names in the order of their numbers.

    Raises:
      UserError: the file cannot be read or names no classes.
    """
    is_json = Path(path).suffix == ".json"
    names = _of_json(files.read_json(path), path) if is_json else _text_of(path).splitlines()
    names = tuple(name.strip() for name in names)
    check_labels(names, len(names), str(path))
    return names


def labels_of_run(model_dir: str | os.PathLike) -> tuple[str, ...] | None:
    """Returns the class names in a run's folder; None for weights that were converted without names."""
    path = Path(model_dir) / LABELS_FILE
    # As they were written: a name of the data may begin or end with a space.
    return tuple(_text_of(path).removesuffix("\n").split("\n")) if path.is_file() else None


def labels_of_checkpoint(path: str | os.PathLike) -> tuple[str, ...] | None:
    """Returns the class names of the run of a checkpoint, None where they are unknown.

    Args:
      path: a run's folder, or the path prefix of a checkpoint in it, in best/ or in ema_checkpoints/.
    """
    path = Path(path)
    folders = [path] if path.is_dir() else [path.parent, path.parent.parent]
    return next((names for folder in folders if (names := labels_of_run(folder))), None)


def write_labels(folder: str | os.PathLike, classes: Sequence[str]) -> None:
    """Writes the class names into a run's folder.

    Raises:
      UserError: names that no file of lines can hold.
    """
    check_labels(classes, len(classes), str(Path(folder) / LABELS_FILE))
    files.write_text(Path(folder) / LABELS_FILE, "".join(f"{name}\n" for name in classes))


def check_labels(labels: Sequence[str], num_classes: int, source: str) -> None:
    """Refuses names that don't fit `num_classes` classes.

    Raises:
      UserError: another number of names, an empty one, one of several lines, or a repeated one.
    """
    flaw = ""
    if not labels or len(labels) != num_classes:
        flaw = f"{len(labels)} names for {num_classes} classes"
    elif bad := [name for name in labels if not name or len(name.splitlines()) > 1]:
        flaw = f"the name {bad[0]!r}"
    elif twice := [name for name in dict.fromkeys(labels) if list(labels).count(name) > 1]:
        flaw = f"{twice[0]!r} twice"
    if flaw:
        raise UserError(
            f"Class names must be different and as many as classes. Received: {source} ({flaw}). {_REMEDY}"
        )


def check_same_classes(
    labels: Sequence[str] | None, classes: Sequence[str], path: str | os.PathLike
) -> None:
    """Refuses data whose classes are not those of the run's labels.txt, in its order.

    Args:
      labels: of the run; None checks nothing.
      classes: of the data.
      path: of the data, for the error.

    Raises:
      UserError: the first class that differs.
    """
    if labels is None:
        return
    if difference := class_difference(classes, labels):
        raise UserError(
            f"Data must have the classes of the run's {LABELS_FILE}, in its order. Received: {path} and the run, "
            f"{difference}. Prepare the data with the run's classes; of a converted run, convert again with "
            "the data's --labels."
        )


def check_start_classes(train: TrainSpec, classes: Sequence[str]) -> None:
    """Refuses the classifier of a run with as many, but different classes.

    Raises:
      UserError: the first class that differs.
    """
    if not train.init_checkpoint or not train.init_classifier:
        return
    labels = labels_of_checkpoint(train.init_checkpoint)
    if labels is None or len(labels) != len(classes):
        return  # a classifier of another size is left out, and named
    if difference := class_difference(labels, classes):
        raise UserError(
            "A classifier goes on with the classes it was trained on. Received: TrainSpec.init_checkpoint = "
            f"{train.init_checkpoint!r} and the data, {difference}. Prepare the data with those classes, or set "
            "TrainSpec.init_classifier = False to train a new classifier."
        )


def _text_of(path: str | os.PathLike) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"Class names must be a readable text file. Received: {path} ({error}). {_REMEDY}"
        ) from error


def _of_json(values: Any, path: str | os.PathLike) -> list[str]:
    if isinstance(values, Mapping) and isinstance(values.get("id2label"), Mapping):
        values = values["id2label"]
    if isinstance(values, Mapping):
        values = _in_order(values)
    if not isinstance(values, list) or not all(isinstance(name, str) for name in values):
        raise UserError(
            f"Class names must be a list or numbered. Received: {path} (neither). {_REMEDY}"
        )
    return values


def _in_order(values: Mapping[str, Any]) -> list[Any] | None:
    """Returns names by their numbers 0, 1, ..., whichever of the two are the keys; None for other objects."""
    pairs = [
        (key, value) if isinstance(value, str) else (value, key) for key, value in values.items()
    ]
    by_number = {str(number): name for number, name in pairs}
    numbers = [str(number) for number in range(len(pairs))]
    return [by_number[number] for number in numbers] if {*by_number} == {*numbers} else None
