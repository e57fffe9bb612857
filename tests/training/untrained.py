"""The folder of a run whose network was never trained: made in a second."""

from __future__ import annotations

import tensorflow as tf
import tf_keras

from official_vision.architecture.formats import read_architecture
from official_vision.modeling.builder import build_model
from official_vision.training.run_folder.folder import begin
from official_vision.training.settings_from_data import read_splits, settled
from tests.training import runs


def write_run(folder, classes=runs.CLASSES, **settings):
    """Writes data and a run into `folder`; returns the run's folder, of whose weights there are one.

    `settings` are those of `runs.config`. Batch norms have other statistics than a new network's, so
    that training mode would give other scores.
    """
    data = runs.write_data(folder / "data", classes)
    graph = runs.save_small(folder)
    config = runs.config(data, folder / "run", graph, num_classes=len(classes), **settings)
    architecture = read_architecture(graph)
    tf_keras.utils.set_random_seed(0)
    model = build_model(config.model, architecture)
    for variable in model.non_trainable_variables:
        if variable.dtype.is_floating:
            variable.assign(variable + 0.3)
    checkpoint = tf.train.Checkpoint(model=model, global_step=tf.Variable(7, dtype=tf.int64))
    tf.train.CheckpointManager(checkpoint, str(folder / "run"), max_to_keep=1).save()
    indexes = read_splits(config, architecture)
    begin(folder / "run", settled(config, architecture, indexes), architecture, indexes)
    return folder / "run"
