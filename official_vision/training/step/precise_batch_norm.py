"""Recomputes batch norms' statistics over many batches with fixed weights (precise BN, Wu & Johnson 2021).

Moving averages lag behind the weights: the batches that they remember went through older ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from official_vision.config import Config
from official_vision.data.input.pipeline import build_dataset, read_index
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.batch_norm import BatchNormalization
from official_vision.training.devices.strategies import shared_batches


def recompute_statistics(
    model: AssembleNet, batches: Iterable[Any], forward: Callable[[Any], None]
) -> None:
    """Sets moving means and variances to those of all rows of some batches.

    The mean is that of the batches' means; the variance, the mean of theirs plus the variance of their
    means. Frozen batch norms keep their statistics. Training that goes on adds to the mean of these batches.

    Args:
      model: the network.
      batches: of equal size.
      forward: runs the network in training mode on one of them, on every replica.
    """
    norms = trained_norms(model)
    means: list[list[np.ndarray]] = [[] for _ in norms]
    variances: list[list[np.ndarray]] = [[] for _ in norms]
    count = 0
    for batch in batches:
        # The first batch's statistics take the place of those before: each is the first here.
        model.update_count.variable.assign(0.0)
        forward(batch)
        count += 1
        for norm, mean, variance in zip(norms, means, variances, strict=True):
            mean.append(norm.moving_mean.numpy().astype(np.float64))
            variance.append(norm.moving_variance.numpy().astype(np.float64))
    for norm, mean, variance in zip(norms, means, variances, strict=True):
        norm.moving_mean.assign(np.mean(mean, axis=0).astype(np.float32))
        total = np.mean(variance, axis=0) + np.var(mean, axis=0)
        norm.moving_variance.assign(total.astype(np.float32))
    model.update_count.variable.assign(float(count))


def trained_norms(model: AssembleNet) -> list[BatchNormalization]:
    """Returns the batch norms whose statistics training moves."""
    return [
        layer
        for layer in model.submodules
        if isinstance(layer, BatchNormalization) and layer.trainable
    ]


def recompute_on_training_data(
    model: AssembleNet, config: Config, count: int, strategy: tf.distribute.Strategy
) -> None:
    """Recomputes the statistics of a network outside of training, on the batches that training would read.

    Args:
      model: the network, made within the strategy's scope.
      config: of the run; its training data are read.
      count: of batches.
      strategy: of the devices that share a batch.

    Raises:
      UserError: data that don't serve the network.
    """
    data = config.train_data
    index = read_index(data, model.streams, config.model.num_classes, "train")
    batches = shared_batches(
        strategy,
        lambda context: build_dataset(
            data, index, model.streams, training=True, input_context=context
        ),
    )

    @tf.function(autograph=False)
    def forward(batch: Any) -> None:
        strategy.run(lambda inputs: model(inputs[0], training=True), args=(batch,))

    recompute_statistics(model, itertools.islice(batches, count), forward)
