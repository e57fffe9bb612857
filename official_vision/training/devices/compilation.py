"""Whether XLA compiles a training step as a whole."""

from __future__ import annotations

import tensorflow as tf

from official_vision.errors import UserError
from official_vision.modeling.execution import computing_kinds
from official_vision.specs import TrainSpec


def is_compiled(train: TrainSpec) -> bool:
    """Returns whether XLA compiles the step: always on a TPU, elsewhere where TrainSpec.compiled is True.

    Args:
      train: its setting is read; the devices are those of the current strategy.

    Raises:
      UserError: False on a TPU, which runs nothing else, or True on several CPU devices, whose sums over replicas
        XLA can't compile.
    """
    kinds, replicas = computing_kinds(), tf.distribute.get_strategy().num_replicas_in_sync
    if "TPU" in kinds:
        if train.compiled is False:
            raise UserError(
                "TrainSpec.compiled can't be False on a TPU, for which XLA compiles everything. Received: False. "
                "Leave it at None."
            )
        return True
    if train.compiled and kinds == {"CPU"} and replicas > 1:
        raise UserError(
            "TrainSpec.compiled works on one CPU device or on GPUs: XLA has no sums over several CPU devices. "
            f"Received: True on {replicas} of them. Leave it at None, or set TrainSpec.strategy = 'one_device'."
        )
    return bool(train.compiled)


def wraps_step(train: TrainSpec) -> bool:
    """Returns whether a replica's step has to be wrapped to be compiled: a TPU's strategy compiles it by itself."""
    return is_compiled(train) and "TPU" not in computing_kinds()
