"""Learning from another network's scores (Hinton et al., 2015, section 2)."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from official_vision import config as configuration
from official_vision.architecture.formats import read_architecture
from official_vision.data.storage.index import Index
from official_vision.data.storage.split_comparison import class_difference
from official_vision.errors import UserError
from official_vision.modeling.inputs import streams_of
from official_vision.modeling.network import AssembleNet
from official_vision.specs import LossSpec
from official_vision.training.checkpoints.restore import (
    ARCHITECTURE_FILE,
    find_checkpoint,
    load_network,
)
from official_vision.training.run_folder.class_names import labels_of_run


def check_teacher(spec: LossSpec, activation: str, train: Index) -> None:
    """Refuses a teacher that can't score these clips; without LossSpec.teacher there is nothing to check.

    Args:
      spec: names the teacher's run.
      activation: of the network that learns.
      train: index of the training data.

    Raises:
      UserError: no run or no checkpoint is there; or it has other classes, another activation, or reads a
        stream that the data lack.
    """
    if not spec.teacher:
        return
    rule = "A teacher scores the clips of training."
    received = f"Received: LossSpec.teacher = {spec.teacher!r},"
    model = configuration.read(spec.teacher).model
    find_checkpoint(spec.teacher, "best")
    if difference := class_difference(labels_of_run(spec.teacher) or train.classes, train.classes):
        raise UserError(
            f"{rule} {received} which was trained on other classes than the data's: {difference}. Name a run on "
            "the same classes."
        )
    if model.activation != activation:
        raise UserError(
            f"{rule} {received} whose activation is {model.activation}, not {activation}. Name another run, or set "
            f"ModelSpec.activation = {model.activation!r}."
        )
    streams = streams_of(read_architecture(Path(spec.teacher) / ARCHITECTURE_FILE), model)
    if missing := [stream for stream in streams if stream not in train.streams]:
        raise UserError(
            f"{rule} {received} which reads {', '.join(streams)}, and the data lack {', '.join(missing)}. Prepare "
            "the data with them."
        )


def load_teacher(spec: LossSpec) -> AssembleNet | None:
    """Returns the network of LossSpec.teacher with its best weights, on the devices of the current strategy.

    It belongs to no checkpoint of the run; without a teacher there is None.
    """
    if not spec.teacher:
        return None
    model = configuration.read(spec.teacher).model
    return load_network(spec.teacher, model, find_checkpoint(spec.teacher, "best"))


def distillation_losses(
    logits: tf.Tensor, taught: tf.Tensor, activation: str, temperature: float
) -> tf.Tensor:
    """Returns temperature^2 KL(teacher || network) of each clip, float32 [batch], at softened scores.

    Scores are those of logits / temperature: over all classes for softmax; for sigmoid the mean over classes of the
    divergence of each class's two outcomes. The square keeps gradients of the same size at any temperature.

    Args:
      logits: of the network, [batch, classes].
      taught: of the teacher, [batch, classes].
      activation: sigmoid or softmax.
      temperature: above 0.
    """
    logits, taught = (tf.cast(x, tf.float32) / temperature for x in (logits, taught))
    if activation == "softmax":
        log_p, log_q = tf.nn.log_softmax(taught), tf.nn.log_softmax(logits)
        divergence = tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)
    else:
        by_outcome = (
            tf.sigmoid(sign * taught)
            * (tf.nn.softplus(-sign * logits) - tf.nn.softplus(-sign * taught))
            for sign in (1, -1)
        )
        divergence = tf.reduce_mean(sum(by_outcome), axis=-1)
    return temperature**2 * divergence
