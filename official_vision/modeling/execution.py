"""The execution of a network, decided once, when it is built. Every Execution computes the same values."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator

import tensorflow as tf
import tf_keras

from official_vision.specs import ModelSpec

TRAIN, INFERENCE, TFLITE = "train", "inference", "tflite"
_RECOMPUTED = ("nothing", "norms", "everything")
_DTYPES = ("float32", "bfloat16", "float16")


@dataclasses.dataclass(frozen=True)
class Execution:
    """The way in which layers compute the papers' formulas; the defaults are TensorFlow's plain operations.

    Attributes:
      target: train (a network that is trained and evaluated), inference (batch norms are folded into convolutions:
        it can't be trained) or tflite (the same, of operations that TFLite has in 8 bits).
      recomputes: what the backward pass computes again, as TrainSpec.rematerialise: nothing, norms or everything.
      cpu_kernels: operations of modeling/ops that are quicker on CPUs take the place of TensorFlow's.
      compiles_flow: XLA compiles the flow that the network computes.
      one_thread_per_operation: TensorFlow gives each operation one thread, so that others run beside it.
      differentiable_dilation: names of the dtypes whose dilated convolutions TensorFlow differentiates on this
        machine; gradients of others go by convolutions of every n-th frame.
    """

    target: str = TRAIN
    recomputes: str = "nothing"
    cpu_kernels: bool = False
    compiles_flow: bool = False
    one_thread_per_operation: bool = False
    differentiable_dilation: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for value, choices in (
            (self.target, (TRAIN, INFERENCE, TFLITE)),
            (self.recomputes, _RECOMPUTED),
        ):
            if value not in choices:
                raise ValueError(f"An Execution has one of {choices}. Received: {value!r}.")

    @property
    def is_folded(self) -> bool:
        """Returns whether batch norms are folded into convolutions, of which biases are left."""
        return self.target != TRAIN

    @property
    def is_cpu_inference(self) -> bool:
        """Returns whether operations that are quicker on CPUs, and have no gradient, may be used."""
        return self.cpu_kernels and self.target == INFERENCE

    def for_tflite(self) -> Execution:
        """Returns the same in plain operations that TFLite has."""
        return Execution(TFLITE)


PLAIN = Execution()


def training_execution(
    spec: ModelSpec, recomputes: str = "nothing", compiled: bool = False
) -> Execution:
    """Returns how the devices of the current strategy train and evaluate a network.

    Args:
      spec: of the network; its plain_tensorflow and flow_compiled are read.
      recomputes: as TrainSpec.rematerialise.
      compiled: XLA compiles the whole step, so that operations for CPUs would only be in its way.
    """
    return Execution(
        TRAIN,
        recomputes,
        _has_cpu_kernels(spec) and not compiled,
        spec.flow_compiled and not spec.plain_tensorflow,
        tf.config.threading.get_intra_op_parallelism_threads() == 1,
        tuple(name for name in _DTYPES if _differentiates_dilation(name)),
    )


def portable_execution(recomputes: str = "nothing") -> Execution:
    """Returns how a network computes in a program for other machines: by what XLA has on every device.

    Args:
      recomputes: as TrainSpec.rematerialise.
    """
    return Execution(TRAIN, recomputes, differentiable_dilation=_DTYPES)


def inference_execution(spec: ModelSpec, compiles_flow: bool = False) -> Execution:
    """Returns how a network computes that is exported or serves; XLA compiles its flow where that is wanted."""
    return Execution(
        INFERENCE,
        cpu_kernels=_has_cpu_kernels(spec),
        compiles_flow=compiles_flow and not spec.plain_tensorflow,
    )


def _has_cpu_kernels(spec: ModelSpec) -> bool:
    """Returns whether to use CPU kernels: not on a GPU or TPU, nor where the user wants TensorFlow's operations."""
    return not spec.plain_tensorflow and computing_kinds() == {"CPU"}


def computing_kinds() -> set[str]:
    """Returns the kinds of devices, of CPU, GPU and TPU, on which the current strategy computes."""
    if tf.distribute.has_strategy():
        names = tf.distribute.get_strategy().extended.worker_devices
        return {tf.DeviceSpec.from_string(name).device_type for name in names}
    return {"GPU" if tf.config.get_visible_devices("GPU") else "CPU"}


@functools.cache
def _differentiates_dilation(dtype: str) -> bool:
    """Returns whether TensorFlow's convolution operation has gradients with dilation here.

    On CPUs oneDNN computes them. TensorFlow leaves oneDNN out on processors without VNNI or AMX, and oneDNN leaves
    bfloat16 out on those without AVX-512. What is there no document says, so a tiny gradient is tried.
    """
    with tf.init_scope():
        try:
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=[1, 3, 1, 1],
                filter=tf.ones([3, 1, 1, 1], dtype),
                out_backprop=tf.ones([1, 3, 1, 1], dtype),
                strides=[1, 1, 1, 1],
                dilations=[1, 2, 1, 1],
                padding="SAME",
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True


@contextlib.contextmanager
def in_precision(name: str) -> Iterator[None]:
    """Sets Keras's global policy for the networks that are built inside; they stay with it afterwards."""
    before = tf_keras.mixed_precision.global_policy()
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # three lines on float16 without a GPU, for which commands have one
    try:
        tf_keras.mixed_precision.set_global_policy(name)
    finally:
        logger.setLevel(level)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
