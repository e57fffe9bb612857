"""Losses of clips, for several labels each or exactly one (supplement A.3), and weight decay's share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from official_vision.data.storage.index import Index
from official_vision.specs import LossSpec, ModelSpec
from official_vision.training.step.class_balance import class_weights, logit_offsets

_LEAST = (
    1e-7  # probability that is raised to a power: the derivative of 0 to one below 1 is infinite
)


class ClipLoss:
    """The loss of a training clip, as LossSpec sets it; by default the cross entropy of `clip_losses`.

    For sigmoid, of a class with logit z, p = sigmoid(z), target t, weight w and n = max(p - margin, 0):

        t w (1 - p)^positive_focus (-log p) + (1 - t) n^negative_focus (-log(1 - n)),

    averaged over classes: the focal loss (Lin et al., ICCV 2017, equation 4) where both exponents are equal, the
    asymmetric one (Ridnik et al., ICCV 2021, equation 7) where they differ. For softmax, the sum over classes
    of t w (1 - p)^positive_focus (-log p). z is moved before by LossSpec.logit_adjustment.
    """

    def __init__(self, spec: LossSpec, activation: str, class_counts: Sequence[int], videos: int):
        """Args:
        spec: of the loss.
        activation: sigmoid or softmax.
        class_counts: training videos of each class.
        videos: training videos in all.
        """
        spec.check_suits(activation)
        self._spec = spec
        self._activation = activation
        self._weights = class_weights(spec, class_counts)
        self._offsets = logit_offsets(spec, activation, class_counts, videos)

    def of_batch(
        self, outputs: Mapping[str, tf.Tensor], targets: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """Returns each clip's loss, of which LossSpec.frame_share is the mean of its frames' losses, float32 [batch].

        Args:
          outputs: logits [batch, classes] and frame_logits [batch, time, classes] of the network.
          targets: labels [batch, classes], and with a share also frame_labels [batch, time, classes].
        """
        losses, share = self(outputs["logits"], targets["labels"]), self._spec.frame_share
        if not share:
            return losses
        of_frames = tf.reduce_mean(self(outputs["frame_logits"], targets["frame_labels"]), axis=-1)
        return (1 - share) * losses + share * of_frames

    def __call__(self, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns each clip's loss, float32 [batch], or frame's, [batch, time]; arguments as in `clip_losses`."""
        logits, labels = (tf.cast(x, tf.float32) for x in (logits, labels))
        if self._offsets is not None:
            logits += self._offsets
        targets = smoothed(labels, self._activation, self._spec.label_smoothing)
        if not self._spec.reshapes_terms:
            return clip_losses(logits, targets, self._activation)
        if self._activation == "softmax":
            return self._of_one_label(logits, targets)
        return self._of_several_labels(logits, targets)

    def _of_one_label(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        log_p = tf.nn.log_softmax(logits)
        rest = tf.maximum(1 - tf.exp(log_p), _LEAST)
        costs = -log_p * rest**self._spec.positive_focus
        return tf.reduce_sum(targets * self._weights * costs, axis=-1)

    def _of_several_labels(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        spec = self._spec
        minus_log_p, minus_log_rest = tf.nn.softplus(-logits), tf.nn.softplus(logits)
        positive = minus_log_p * tf.exp(-spec.positive_focus * minus_log_rest)
        if spec.negative_margin:
            n = tf.maximum(tf.sigmoid(logits) - spec.negative_margin, _LEAST)
            negative = -tf.math.log1p(-n) * n**spec.negative_focus
        else:
            negative = minus_log_rest * tf.exp(-spec.negative_focus * minus_log_p)
        costs = targets * self._weights * positive + (1 - targets) * negative
        return tf.reduce_mean(costs, axis=-1)


def make_clip_loss(spec: LossSpec, model: ModelSpec, train: Index | None) -> ClipLoss:
    """Returns the loss of a run's training clips.

    Args:
      spec: of the loss.
      model: with its number of classes and its activation.
      train: index of the training data; None for generated clips, whose classes are equally frequent.
    """
    counts = train.class_counts if train else (1,) * model.num_classes
    videos = train.num_videos if train else model.num_classes
    return ClipLoss(spec, model.activation, counts, videos)


def smoothed(labels: tf.Tensor, activation: str, smoothing: float) -> tf.Tensor:
    """Returns targets [..., classes] of which a share is spread evenly: 1/2 for sigmoid, 1/classes for softmax."""
    if not smoothing:
        return labels
    even = 1 / 2 if activation == "sigmoid" else 1 / labels.shape[-1]
    return labels * (1 - smoothing) + smoothing * even


def clip_losses(logits: tf.Tensor, labels: tf.Tensor, activation: str) -> tf.Tensor:
    """Returns each clip's cross entropy, float32 [batch], or each frame's, [batch, time].

    Args:
      logits: [batch, classes] or [batch, time, classes].
      labels: multi-hot, or one-hot for softmax, of the same shape; or shares of 0 to 1, as mixing
        clips gives them (which for softmax sum to 1).
      activation: sigmoid (binary cross entropy, averaged over classes) or softmax.
    """
    logits, labels = (tf.cast(x, tf.float32) for x in (logits, labels))
    if activation == "sigmoid":
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(losses, axis=-1)
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def mean_of_real(losses: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean loss of the real clips of a batch, a float32 scalar; 0 for a batch of padding alone.

    In training every replica has as many real rows, so that the mean over replicas is that over the global batch.

    Args:
      losses: [batch].
      mask: 1 for real rows and 0 for padding, [batch].
    """
    mask = tf.cast(mask, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(losses * mask), tf.reduce_sum(mask))


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
