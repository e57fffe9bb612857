"""Batch norms whose moving statistics begin with the first batch, and the bias that is left of a folded one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras

from official_vision.modeling.execution import PLAIN, Execution
from official_vision.modeling.ops.layer import Layer, register
from official_vision.modeling.ops.rematerialisation import is_recomputing
from official_vision.modeling.ops.synchronised_norm import normalise_over_replicas
from official_vision.private_apis import MovingAverageHook


class NormValues(NamedTuple):
    """The values that a batch norm reads; all float32 [channels]."""

    scale: tf.Tensor
    offset: tf.Tensor
    mean: tf.Tensor
    variance: tf.Tensor


class Normalised(NamedTuple):
    """The outputs of TensorFlow's fused batch norm: the result, the batch's moments, and what gradients need."""

    y: tf.Tensor
    moved: tuple[tf.Tensor, tf.Tensor]
    reserved: tuple[tf.Tensor, tf.Tensor, tf.Tensor]


# Batches that loaded statistics count as: enough not to be lost with the first step, few enough to be replaced soon.
LOADED_BATCHES = 10.0


class UpdateCount:
    """A variable that counts the batches behind a network's moving statistics, from which momentum follows.

    Batch n counts 1 / n in the averages, as in a plain mean, until that is less than 1 - momentum: the first batch
    takes the place of the initial statistics, and nothing of them is left. A moving average with a fixed momentum
    of 0.99 still contains 22 % of them after 150 steps. One variable serves all batch norms of a network.
    """

    def __init__(self):
        # Each replica counts for itself; all counts are equal.
        self.variable = tf.Variable(
            0.0,
            trainable=False,
            name="norm_updates",
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def add(self) -> None:
        """Counts the batch whose statistics are going to be added."""
        self.variable.assign_add(1.0)

    def set_loaded(self, batches: float = LOADED_BATCHES) -> None:
        """Sets of how many batches loaded statistics are the mean; they count as `LOADED_BATCHES` at most."""
        self.variable.assign(min(batches, LOADED_BATCHES))

    def newest_share(self, momentum: float) -> tf.Tensor:
        """Returns the newest batch's weight in the moving statistics, a float32 scalar in (0, 1]."""
        return tf.maximum(1.0 - momentum, tf.math.reciprocal_no_nan(self.variable))


@register
class BatchNormalization(MovingAverageHook, tf_keras.layers.BatchNormalization):
    """Keras's batch norm, whose moving statistics begin with the first batch and see each batch once.

    They are not biased towards initial values (see `UpdateCount`), and take no batch twice that the backward pass
    computes again. In training it is TensorFlow's operation and nothing else, traced in a third of the time: 0.4 s
    of a start of AssembleNet-50.
    """

    # Of the network that the layer is part of; without one momentum is fixed.
    update_count: UpdateCount | None = None

    def __init__(self, *args: Any, execution: Execution = PLAIN, **kwargs: Any):
        """Args:
        *args, **kwargs: of Keras's BatchNormalization.
        execution: of the network, which is in no configuration.
        """
        super().__init__(*args, **kwargs)
        self.execution = execution

    def call(
        self,
        inputs: tf.Tensor,
        training: bool | tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Normalises inputs, [rows, height, width, channels]; arguments as Keras's."""
        is_map = self.fused or (self.synchronized and inputs.shape.rank == 4)
        if training is not True or mask is not None or not (is_map and self.trainable):
            return super().call(inputs, training=training, mask=mask)
        inputs = tf.cast(inputs, self.compute_dtype)
        if self.synchronized:
            scale, offset, *_ = self.values()
            y, mean, variance = normalise_over_replicas(inputs, scale, offset, self.epsilon)
            self.move(mean, variance)
            return y
        # The first version takes no gradients of its other outputs, the third for zeros of each:
        # 900 operations less in a float32 step of AssembleNet-50, whose values stay the same to the bit.
        operation = tf.raw_ops.FusedBatchNormV3
        if inputs.dtype == tf.float32 and self.execution.cpu_kernels:
            operation = tf.raw_ops.FusedBatchNorm
        y, mean, variance, *_ = self._normalise_by(operation, inputs, self.values())
        self.move(mean, variance)
        return y

    def values(self) -> NormValues:
        """Returns what `normalise` reads, as it is now."""
        read = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        return NormValues(*(tf.cast(value, tf.float32) for value in read))

    def normalise(self, x: tf.Tensor, values: NormValues) -> Normalised:
        """Normalises by the statistics of x, [rows, height, width, channels]; updates no moving average."""
        y, mean, variance, *reserved = self._normalise_by(tf.raw_ops.FusedBatchNormV3, x, values)
        return Normalised(y, (mean, variance), tuple(reserved))

    def _normalise_by(
        self, operation: Callable[..., Any], x: tf.Tensor, values: NormValues
    ) -> tuple[tf.Tensor, ...]:
        return operation(
            x=x,
            scale=values.scale,
            offset=values.offset,
            mean=values.mean,
            variance=values.variance,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0,  # returns the batch's statistics alone
            is_training=True,
        )

    def move(self, mean: tf.Tensor, variance: tf.Tensor) -> None:
        """Adds a batch's statistics to the moving ones, except when recomputing."""
        self.add_update(
            lambda: (
                self.update_average(self.moving_mean, mean, self.momentum, None),
                self.update_average(self.moving_variance, variance, self.momentum, None),
            )
        )

    def update_average(
        self,
        variable: tf.Variable,
        value: tf.Tensor,
        momentum: float,
        inputs_size: tf.Tensor | None,
    ) -> Any:
        """Updates with the momentum that follows from the count; see `MovingAverageHook`."""
        share = 1.0 - momentum
        if self.update_count is not None:
            share = self.update_count.newest_share(momentum)
        if inputs_size is not None:  # rows: none where a replica got nothing of a last batch
            share = tf.where(inputs_size > 0, share, 0.0)
        # Not variable - share * (variable - value): the first batch's statistics are taken over without rounding.
        return variable.assign((1.0 - share) * variable + share * tf.cast(value, variable.dtype))

    def add_update(self, updates: Any) -> None:
        """Runs updates of the moving averages (arguments as in Keras), except when recomputing."""
        if not is_recomputing():
            super().add_update(updates)


@register
class ChannelBias(Layer):
    """The remainder of a batch norm that is folded into a convolution: one number added to each channel."""

    def build(self, input_shape: tf.TensorShape) -> None:
        channels = tf.TensorShape(input_shape)[-1]
        self.bias = self.add_weight("bias", [channels], initializer="zeros")
        super().build(input_shape)

    def compute_output_shape(self, input_shape: tf.TensorShape) -> tf.TensorShape:
        return tf.TensorShape(input_shape)

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Adds the bias to x, [batch * time, height, width, channels].

        Raises:
          ValueError: in training, which a folded network can't take part in.
        """
        if training:
            raise ValueError(
                "A network with folded batch norms is for inference; it can't be trained."
            )
        return tf.nn.bias_add(x, self.bias)
