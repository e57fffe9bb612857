"""An optimizer's settings when a checkpoint is restored: the user's current settings win."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
import tf_keras


@contextlib.contextmanager
def settings_preserved(optimizer: tf_keras.optimizers.Optimizer) -> Iterator[None]:
    """Wraps a restore: momentum and the like keep the values that `optimizer` was made with.

    Keras's legacy optimizers keep them in variables, which checkpoints hold. A run resumed with another
    OptimizerSpec.momentum would silently train with the old one. What the optimizer has gathered, e.g.
    its velocities, is restored.

    Args:
      optimizer: with those that it wraps.
    """
    legacy = tf_keras.optimizers.legacy.Optimizer
    optimizers = [
        x for x in tf.train.TrackableView(optimizer).descendants() if isinstance(x, legacy)
    ]
    wanted = [(each, _numbers(each)) for each in optimizers]
    for each, numbers in wanted:
        for name in numbers:
            getattr(
                each, name
            )  # makes its variable: one made later would take the checkpoint's value
    yield
    for each, numbers in wanted:
        for name, value in numbers.items():
            setattr(each, name, value)


def _numbers(optimizer: tf_keras.optimizers.legacy.Optimizer) -> dict[str, float]:
    """Returns the settings that are plain numbers; a schedule of learning rates is never in a checkpoint."""
    settings = optimizer.get_config()
    return {
        name: value
        for name, value in settings.items()
        if type(value) is float and hasattr(optimizer, name)
    }
