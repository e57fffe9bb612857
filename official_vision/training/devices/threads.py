"""The number of threads that share an operation of a training step."""

from __future__ import annotations

import os

import tensorflow as tf

from official_vision.errors import UserError
from official_vision.specs import TrainSpec

_VARIABLE = "TF_NUM_INTRAOP_THREADS"  # TensorFlow's: read where tf.config is not set
# So few run two branches of the graph side by side, an operation each, rather than share every operation, which
# costs 0.1 ms of waking and waiting: AssembleNet-50's step took 0.98 of its time in float32, 0.90 to 0.95 in
# bfloat16. A forward pass alone took 1.08 in float32, and more cores than branches would idle.
_FEW_CORES = 2


def set_threads(train: TrainSpec) -> None:
    """Sets the threads per operation, for all of this process: TensorFlow allows it until it first computes.

    Too late, the rule of 0 is left out.

    Args:
      train: has the number.

    Raises:
      UserError: too late for a number that is not in force.
    """
    number_set = train.threads_per_operation
    is_decided = not number_set and tf.config.threading.get_intra_op_parallelism_threads()
    if is_decided or train.strategy == "tpu":
        return
    gpus = len(tf.config.get_visible_devices("GPU"))
    number = _number(number_set, usable_cores(), gpus, os.environ.get(_VARIABLE, ""))
    if not number:
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(number)
    except RuntimeError as error:
        if number_set not in (0, threads_in_force()):
            raise UserError(
                "TrainSpec.threads_per_operation must be set before TensorFlow computes. Received: "
                f"{number_set}, with {threads_in_force()} in force. Train in a separate process, or leave it at 0."
            ) from error


def threads_in_force() -> int:
    """Returns how many threads share an operation now."""
    variable = os.environ.get(_VARIABLE, "")
    named = int(variable) if variable.isdecimal() else 0  # TensorFlow passes over anything else
    return tf.config.threading.get_intra_op_parallelism_threads() or named or usable_cores()


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _number(number_set: int, cores: int, gpus: int, variable: str) -> int:
    """Returns the threads to set in TensorFlow; 0 leaves it its choice, which the user's variable influences."""
    if number_set or variable:
        return number_set
    return 1 if cores <= _FEW_CORES and not gpus else 0
