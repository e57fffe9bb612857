"""Finds checkpoints, loads a model's weights, and reports those that did not fit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from official_vision.architecture.formats import read_architecture
from official_vision.config import ARCHITECTURE_FILE, CONFIG_JSON, read
from official_vision.errors import UserError, reason_of
from official_vision.modeling.builder import build_model
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.batch_norm import LOADED_BATCHES
from official_vision.names import check_no_pattern
from official_vision.specs import ModelSpec
from official_vision.training.checkpoints.checkpoint_files import READ_ERRORS

BEST_FOLDER = "best"
EMA_FOLDER = "ema_checkpoints"  # Model Garden's name
# Settings that change what weights of the same shapes compute.
_MEANING_OF_GRAPH = ("convolution_padding", "stem_pool_padding", "downsampling", "rgb_pool_size")
_MEANING_OF_MODEL = (
    "rgb_mean",
    "rgb_deviation",
    "flow_border",
    "flow_stretch",
    "flow_source",
    "frame_pooling",
)
_STEP_KEY = "global_step/.ATTRIBUTES/VARIABLE_VALUE"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
COUNT_KEY = f"model/norm_updates{_VALUE}"
_STATISTICS = re.compile(f"/moving_(mean|variance){_VALUE}$")
_NUMBER = re.compile(r"-(\d+)\.index$")


def find_checkpoint(model_dir: str | os.PathLike, which: str) -> str:
    """Returns a checkpoint's path prefix.

    Args:
      model_dir: a run's folder.
      which: best, latest, or a path prefix. With a moving average, both names mean the
        averaged weights: those are what was evaluated.

    Raises:
      UserError: there is none, or its path is one that TensorFlow can't read.
    """
    folders = {
        "best": [Path(model_dir) / BEST_FOLDER],
        "latest": [Path(model_dir) / EMA_FOLDER, Path(model_dir)],
    }.get(which, [])
    prefixes = [newest for folder in folders if (newest := _newest_in(folder))]
    prefixes += [which] if Path(f"{which}.index").is_file() else []
    if prefixes:
        check_no_pattern(prefixes[0], "A checkpoint's path")
        return prefixes[0]
    raise UserError(
        f"A checkpoint is best, latest or a path prefix. Received: {which!r}, and {model_dir} has none of these. "
        "Train first, or name another."
    )


def _newest_in(folder: Path) -> str | None:
    """Returns the checkpoint that TensorFlow's list names last; that of the greatest number if the list is broken."""
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except (OSError, ValueError, tf.errors.OpError):
        state = None
    if state and Path(f"{state.model_checkpoint_path}.index").is_file():
        return state.model_checkpoint_path
    numbers = {path: _NUMBER.search(path.name) for path in folder.glob("*.index")}
    numbered = [(int(match[1]), path) for path, match in numbers.items() if match]
    return str(max(numbered)[1].with_suffix("")) if numbered else None


def step_of(checkpoint: str) -> int:
    """Returns the training step at which a checkpoint was written; 0 when it is unknown."""
    reader = tf.train.load_checkpoint(checkpoint)
    return int(reader.get_tensor(_STEP_KEY)) if reader.has_tensor(_STEP_KEY) else 0


def restore_model(model: AssembleNet, checkpoint: str) -> None:
    """Restores every weight of `model`, and the count of batches behind its batch norms, if a checkpoint has it.

    Raises:
      UserError: the checkpoint lacks a weight, or was written by another architecture.
    """
    try:
        reader = tf.train.load_checkpoint(checkpoint)
        for key, variable in _checkpoint_keys(model).items():
            variable.assign(reader.get_tensor(key))
        model.update_count.variable.assign(_batches_counted(reader))
    except (*READ_ERRORS, KeyError) as error:
        raise UserError(
            f"A checkpoint must hold the model's weights. Received: {checkpoint} "
            f"({reason_of(error)}). Is it another architecture's?"
        ) from error


def load_network(model_dir: str | os.PathLike, spec: ModelSpec, checkpoint: str) -> AssembleNet:
    """Builds a run's network on the devices of the current strategy, and restores a checkpoint of it.

    Args:
      model_dir: the run's folder, which has the graph.
      spec: the run's settings of the network.
      checkpoint: its path prefix.

    Raises:
      UserError: the checkpoint is another network's.
    """
    model = build_model(spec, read_architecture(Path(model_dir) / ARCHITECTURE_FILE))
    restore_model(model, checkpoint)
    return model


def load_weights(model: AssembleNet, init_checkpoint: str, *, classifier: bool = True) -> list[str]:
    """Loads the weights that fit by name and shape: for fine-tuning with another classifier.

    Batch norms' statistics then count as much as those of `LOADED_BATCHES` batches, where all were loaded;
    where one was not, the first batch of training replaces them.

    Args:
      model: receives the weights.
      init_checkpoint: a path prefix, or a run's folder, whose best (else latest) checkpoint is used.
      classifier: whether the classifier's weights are loaded too.

    Returns:
      Lines on the loaded weights, every weight that was not loaded, with the reason, and settings of the network
      that differ from those of that run.

    Raises:
      UserError: no checkpoint, or nothing in it fits.
    """
    reader = tf.train.load_checkpoint(_initial(init_checkpoint))
    shapes = reader.get_variable_to_shape_map()
    paths = _checkpoint_keys(model)
    left = [] if classifier else [v.ref() for v in model.head.classifier.variables]
    skipped = {}
    for key, variable in paths.items():
        if variable.ref() in left:
            skipped[key] = f"  {variable.name}: begins anew (TrainSpec.init_classifier = False)"
        elif key not in shapes:
            skipped[key] = f"  {variable.name}: not in the checkpoint"
        elif list(shapes[key]) != variable.shape.as_list():
            skipped[key] = (
                f"  {variable.name}: {shapes[key]} there, {variable.shape.as_list()} here"
            )
        else:
            variable.assign(reader.get_tensor(key))
    if len(skipped) == len(paths):
        raise UserError(
            f"TrainSpec.init_checkpoint must hold weights of such a model. Received: {init_checkpoint}, "
            "in which no weight fits. Name a run of the same architecture."
        )
    lacks_statistics = any(_STATISTICS.search(key) for key in skipped)
    model.update_count.set_loaded(0.0 if lacks_statistics else _batches_counted(reader))
    loaded = len(paths) - len(skipped)
    return [
        f"initialised {loaded} of {len(paths)} weights from {init_checkpoint}",
        *skipped.values(),
        *_changed_meaning(model, Path(init_checkpoint)),
    ]


def statistics_of(model: AssembleNet) -> dict[str, tf.Variable]:
    """Returns the moving means and variances of a network by their keys in checkpoints."""
    keys = _checkpoint_keys(model).items()
    return {key: variable for key, variable in keys if _STATISTICS.search(key)}


def _batches_counted(reader: tf.train.CheckpointReader) -> float:
    """Returns the count of batches behind a checkpoint's statistics; without one, that of a trained network."""
    return float(reader.get_tensor(COUNT_KEY)) if reader.has_tensor(COUNT_KEY) else LOADED_BATCHES


def _changed_meaning(model: AssembleNet, folder: Path) -> Iterator[str]:
    """Yields a line for each setting with which that run's weights computed something else."""
    if not (folder / ARCHITECTURE_FILE).is_file() or not (folder / CONFIG_JSON).is_file():
        return
    for there, here, names in (
        (read_architecture(folder / ARCHITECTURE_FILE), model.architecture, _MEANING_OF_GRAPH),
        (read(folder).model, model.spec, _MEANING_OF_MODEL),
    ):
        for name in names:
            old, new = getattr(there, name), getattr(here, name)
            if old != new:
                yield f"  note: {name} was {old!r} where the weights were trained, is {new!r} here"


def _initial(init_checkpoint: str) -> str:
    if not Path(init_checkpoint).is_dir():
        return find_checkpoint("", init_checkpoint)
    try:
        return find_checkpoint(init_checkpoint, "best")
    except UserError:
        return find_checkpoint(init_checkpoint, "latest")


def _checkpoint_keys(model: AssembleNet) -> dict[str, tf.Variable]:
    """Returns the keys of the model's weights in a checkpoint of the trainer."""
    view = tf.train.Checkpoint(model=model)
    keys = {}
    pending: list[tuple[str, object]] = [("", view)]
    seen: set[int] = set()
    while pending:
        path, node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, tf.Variable):
            keys[path + _VALUE] = node
            continue
        for name, child in tf.train.TrackableView.children(node).items():
            pending.append((f"{path}/{name}" if path else name, child))
    keys.pop(COUNT_KEY)  # no weight
    return keys
