"""Cross entropy of clips and of their frames, for several labels each or exactly one (supplement A.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf


def mean_of_real(losses: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean loss of the real clips of a batch.

    Args:
      losses: of each clip, [batch].
      mask: 1 for real rows and 0 for padding, [batch].

    Returns:
      A float32 scalar; 0 for a batch of padding alone. In training every replica has as many real
      rows, so that the mean over replicas is the mean over the global batch.
    """
    mask = tf.cast(mask, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * mask), tf.reduce_sum(mask))


def losses_with_frames(
    outputs: Mapping[str, tf.Tensor],
    targets: Mapping[str, tf.Tensor],
    activation: str,
    label_smoothing: float = 0.0,
    frame_share: float = 0.0,
) -> tf.Tensor:
    """Returns each clip's loss, of which a share is the mean loss of its frames, float32 [batch].

    Args:
      outputs: logits [batch, classes] and frame_logits [batch, time, classes] of the network.
      targets: labels [batch, classes], and with a share also frame_labels [batch, time, classes].
      activation: as in `clip_losses`.
      label_smoothing: likewise.
      frame_share: 0 (clips alone) to 1 (frames alone).
    """
    parts = []
    if frame_share < 1:
        of_clips = clip_losses(outputs["logits"], targets["labels"], activation, label_smoothing)
        parts.append(of_clips * (1 - frame_share) if frame_share else of_clips)
    if frame_share:
        of_frames = clip_losses(
            outputs["frame_logits"], targets["frame_labels"], activation, label_smoothing
        )
        parts.append(tf.reduce_mean(of_frames, axis=-1) * frame_share)
    return tf.add_n(parts)


def clip_losses(
    logits: tf.Tensor, labels: tf.Tensor, activation: str, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Returns each clip's loss, float32 [batch]; or of frames each frame's, [batch, time].

    Args:
      logits: [batch, classes] or [batch, time, classes].
      labels: multi-hot, or one-hot for softmax, of the same shape; or shares of 0 to 1, as mixing
        clips gives them (which for softmax sum to 1).
      activation: sigmoid (binary cross entropy, averaged over classes) or softmax.
      label_smoothing: share of each target that all classes get evenly: of 1/2 for sigmoid, of
        1/classes for softmax.
    """
    logits, labels = (tf.cast(x, tf.float32) for x in (logits, labels))
    if activation == "sigmoid":
        targets = labels * (1 - label_smoothing) + label_smoothing / 2
        losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
        return tf.reduce_mean(losses, axis=-1)
    targets = labels * (1 - label_smoothing) + label_smoothing / labels.shape[-1]
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def l2_penalty(kernels: list[tf.Variable], weight_decay: float) -> tf.Tensor:
    """Returns weight_decay / 2 times the sum of squares, so that its gradient is weight_decay times w."""
    return weight_decay * tf.add_n([tf.nn.l2_loss(tf.cast(k, tf.float32)) for k in kernels])


def with_decay(
    gradients: Sequence[tf.Tensor | None],
    variables: Sequence[tf.Variable],
    kernels: Sequence[tf.Variable],
    weight_decay: float,
) -> list[tf.Tensor | None]:
    """Adds the gradient of `l2_penalty`, weight_decay times w.

    A kernel is read once its gradient is there. Left to a tape, the product of decay and weights, which needs
    nothing of the network, is computed first in a step, and stays in memory until the end: 170 MiB of
    AssembleNet-50's peak.

    Args:
      gradients: of `variables`, of the same shapes; None where the loss does not depend on one.
      variables: in any order.
      kernels: which of them decay.
      weight_decay: of this replica's share of the loss.
    """
    decaying, factor = {kernel.ref() for kernel in kernels}, tf.constant(weight_decay)
    return [
        _decayed(gradient, variable, factor) if variable.ref() in decaying else gradient
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def _decayed(gradient: tf.Tensor | None, kernel: tf.Variable, factor: tf.Tensor) -> tf.Tensor:
    with tf.control_dependencies([] if gradient is None else [gradient]):
        decay = factor * tf.convert_to_tensor(kernel)
    return decay if gradient is None else gradient + decay
