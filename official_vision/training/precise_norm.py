"""Batch norm's statistics anew, over many batches with fixed weights (precise BN, Wu & Johnson 2021).

Moving averages lag behind the weights: the batches that they remember went through older ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tf_keras


def recompute_statistics(
    model: tf_keras.Model, batches: Iterable[Any], forward: Callable[[Any], None]
) -> None:
    """Sets moving means and variances to those of all rows of some batches.

    The mean is that of the batches' means; the variance, the mean of theirs plus the variance of their
    means. Frozen batch norms keep theirs.

    Args:
      model: the network.
      batches: of equal size.
      forward: runs the network in training mode on one of them, on every replica.
    """
    norms = [
        layer
        for layer in model.submodules
        if isinstance(layer, tf_keras.layers.BatchNormalization) and layer.trainable
    ]
    means: list[list[np.ndarray]] = [[] for _ in norms]
    variances: list[list[np.ndarray]] = [[] for _ in norms]
    for batch in batches:
        # From zero, an average takes in 1 - momentum of the batch's statistics and nothing else.
        for norm in norms:
            norm.moving_mean.assign(np.zeros(norm.moving_mean.shape, np.float32))
            norm.moving_variance.assign(np.zeros(norm.moving_variance.shape, np.float32))
        forward(batch)
        for norm, mean, variance in zip(norms, means, variances, strict=True):
            mean.append(norm.moving_mean.numpy().astype(np.float64) / (1 - norm.momentum))
            variance.append(norm.moving_variance.numpy().astype(np.float64) / (1 - norm.momentum))
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        norm.moving_mean.assign(np.mean(mean, axis=0).astype(np.float32))
        total = np.mean(variance, axis=0) + np.var(mean, axis=0)
        norm.moving_variance.assign(total.astype(np.float32))
