"""Cross entropy of clips, for several labels each or exactly one (supplement A.3)."""

from __future__ import annotations

import tensorflow as tf


def classification_loss(
    logits: tf.Tensor,
    labels: tf.Tensor,
    mask: tf.Tensor,
    activation: str,
    label_smoothing: float = 0.0,
) -> tf.Tensor:
    """The mean loss of the real clips of a batch.

    Args:
      logits: [batch, classes].
      labels: multi-hot, or one-hot for softmax, [batch, classes]; or shares of 0 to 1, as mixing
        clips gives them (which for softmax sum to 1).
      mask: 1 for real rows and 0 for padding, [batch].
      activation: sigmoid (binary cross entropy, averaged over classes) or softmax.
      label_smoothing: share of each target that all classes get evenly: of 1/2 for sigmoid, of
        1/classes for softmax.

    Returns:
      A float32 scalar; 0 for a batch of padding alone. In training every replica has as many real
      rows, so that the mean over replicas is the mean over the global batch.
    """
    per_clip = clip_losses(logits, labels, activation, label_smoothing)
    mask = tf.cast(mask, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(per_clip * mask), tf.reduce_sum(mask))


def clip_losses(
    logits: tf.Tensor, labels: tf.Tensor, activation: str, label_smoothing: float = 0.0
) -> tf.Tensor:
    """Each clip's loss, float32 [batch]; arguments as in `classification_loss`."""
    logits, labels = (tf.cast(x, tf.float32) for x in (logits, labels))
    if activation == "sigmoid":
        targets = labels * (1 - label_smoothing) + label_smoothing / 2
        losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
        return tf.reduce_mean(losses, axis=-1)
    targets = labels * (1 - label_smoothing) + label_smoothing / labels.shape[-1]
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


def l2_penalty(kernels: list[tf.Variable], weight_decay: float) -> tf.Tensor:
    """weight_decay / 2 times the sum of squares, so that its gradient is weight_decay times w."""
    return weight_decay * tf.add_n([tf.nn.l2_loss(tf.cast(k, tf.float32)) for k in kernels])
