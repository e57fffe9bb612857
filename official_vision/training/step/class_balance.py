"""How much each class counts in a loss, by the training videos that have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from official_vision.specs import LossSpec


def class_weights(spec: LossSpec, class_counts: Sequence[int]) -> np.ndarray:
    """Returns the factor of each class's labels in the loss, float32 [classes].

    Their mean over the labels of the training videos is 1: a learning rate stays right. inverse_frequency: 1 / n
    for n videos; effective_number: (1 - beta) / (1 - beta^n) (Cui et al., CVPR 2019, equation 2), which is 1 / n
    for a beta near 1 and equal for all where beta is 0. A class without a video counts as one with a single one.

    Args:
      spec: class_weights and effective_number_beta.
      class_counts: training videos of each class.
    """
    counts = np.maximum(np.asarray(class_counts, np.float64), 1)
    if spec.class_weights == "none":
        weights = np.ones_like(counts)
    elif spec.class_weights == "inverse_frequency":
        weights = 1 / counts
    else:
        beta = spec.effective_number_beta
        weights = (1 - beta) / (1 - beta**counts)
    return (weights * counts.sum() / (weights @ counts)).astype(np.float32)


def logit_offsets(
    spec: LossSpec, activation: str, class_counts: Sequence[int], videos: int
) -> np.ndarray | None:
    """Returns what training adds to the logits, float32 [classes]; None where nothing.

    Menon et al. (ICLR 2021, equation 10): a network trained with logits + tau log(prior) ranks classes, without
    that term, as if all were equally frequent. prior is a class's share of labels for softmax; for sigmoid the term
    is tau times the log odds of the share of videos that have it.

    Args:
      spec: logit_adjustment, tau.
      activation: sigmoid or softmax.
      class_counts: training videos of each class.
      videos: training videos in all.
    """
    if not spec.logit_adjustment:
        return None
    # No share of 0 or 1, whose logarithms are infinite.
    counts = np.clip(np.asarray(class_counts, np.float64), 0.5, max(videos - 0.5, 0.5))
    rest = counts.sum() if activation == "softmax" else videos - counts
    return (spec.logit_adjustment * np.log(counts / rest)).astype(np.float32)
