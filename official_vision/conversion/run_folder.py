"""Writes converted weights as the folder of a run, which every other command takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from official_vision import files
from official_vision.architecture.formats import save_architecture
from official_vision.architecture.graph import Architecture
from official_vision.config import Config
from official_vision.conversion.coverage import Coverage
from official_vision.errors import UserError, reason_of
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.batch_norm import LOADED_BATCHES
from official_vision.training.checkpoints.restore import ARCHITECTURE_FILE, BEST_FOLDER
from official_vision.training.run_folder.class_names import LABELS_FILE, check_labels

COVERAGE_JSON = "coverage.json"
COVERAGE_TEXT = "coverage.txt"


def write_run(
    output: Path,
    config: Config,
    architecture: Architecture,
    model: AssembleNet,
    coverage: Coverage,
    labels: Sequence[str] | None = None,
) -> None:
    """Writes a run's folder, whole or not at all.

    It contains what a trained run's does: settings, graph, and a checkpoint of step 0 that is both the
    latest and the best; and besides coverage.json, coverage.txt and, where they are known, labels.txt.

    Args:
      output: the folder, which must not exist or be empty.
      config: every setting; ModelSpec.architecture and TrainSpec.model_dir become the folder's.
      architecture: the graph as the model was built from it.
      model: with its weights.
      coverage: where they come from.
      labels: class names, in the order of the classifier's logits; None where they are not known.

    Raises:
      UserError: the folder is not empty or cannot be written, or there are not as many labels as classes.
    """
    check_output(output)
    config = dataclasses.replace(config, model=config.model.with_numbers())
    if labels is not None:
        check_labels(labels, config.model.num_classes, "--labels")
    config = _of_folder(config, output)
    # Fine-tuning goes on from trained statistics; where a norm has initial ones, its first batch replaces them.
    model.update_count.set_loaded(0.0 if coverage.lacks_statistics() else LOADED_BATCHES)
    try:
        with files.folder_written_aside(output) as partial:
            config.save(partial)
            save_architecture(architecture, partial / ARCHITECTURE_FILE)
            files.write_json(partial / COVERAGE_JSON, coverage.to_dict())
            files.write_text(partial / COVERAGE_TEXT, coverage.to_text() + "\n")
            if labels is not None:
                files.write_text(partial / LABELS_FILE, "".join(f"{name}\n" for name in labels))
            for folder in (partial, partial / BEST_FOLDER):
                _save_checkpoint(model, folder)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"--output must be a folder that can be written. Received: {output} "
            f"({reason_of(error)}). Name another, or free space."
        ) from error


def check_output(output: Path) -> None:
    """Refuses a folder that is not empty, before the work whose result it will contain.

    Raises:
      UserError: it is a file, or not empty.
    """
    if output.is_dir() and any(output.iterdir()):
        raise UserError(
            f"--output must be a new or empty folder. Received: {output}, which is not empty. Name another."
        )
    if output.exists() and not output.is_dir():
        raise UserError(
            f"--output must be a new or empty folder. Received: {output}, a file. Name another."
        )


def _of_folder(config: Config, output: Path) -> Config:
    """Returns the settings with which training goes on from the folder's graph, as it was converted."""
    graph = str(output / ARCHITECTURE_FILE)
    return dataclasses.replace(
        config,
        model=dataclasses.replace(
            config.model, architecture=graph, depth=None, width_multiplier=None
        ),
        train=dataclasses.replace(config.train, model_dir=str(output)),
    )


def _save_checkpoint(model: AssembleNet, folder: Path) -> None:
    """Writes the weights under the keys that the trainer's checkpoints have, at step 0."""
    checkpoint = tf.train.Checkpoint(model=model, global_step=tf.Variable(0, dtype=tf.int64))
    # A manager names the checkpoint relative to its folder: the list stays right when that is moved.
    tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1).save(checkpoint_number=0)
