"""Stems, the nodes of level 0: each reads one stream (AssembleNet++ supplement, A.1)."""

from __future__ import annotations

import functools
from typing import Any

import tensorflow as tf

from official_vision.architecture.graph import Architecture
from official_vision.architecture.layer_plans import StemPlan
from official_vision.modeling.execution import Execution
from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.modeling.ops.convolution import (
    TemporalConvolution,
    batch_norm,
    spatial_convolution,
)
from official_vision.modeling.ops.cpu_kernels.sparse_objects import (
    OBJECT_POOL,
    PresentMap,
    counted,
    present_map,
)
from official_vision.modeling.ops.elementwise import norm_relu
from official_vision.modeling.ops.layer import Layer, build_path, register
from official_vision.modeling.ops.recomputation import (
    convolved,
    recomputed_stem,
    recomputes_norms,
)

_NO_CLASS = 255


@register
class ConvolutionalStem(Layer):
    """RGB and flow stems: spatial convolution / 2, temporal convolution, max pool.

    Every convolution is followed by batch norm and ReLU. The supplement's RGB stem is (7, 5, pool 2),
    its flow stem (7, no temporal convolution, pool 2), the -lite stems (3, 3, no pool).
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        temporal_kernel_size: int,
        temporal_dilation: int,
        pool_size: int,
        padding: str = "symmetric",
        pool_padding: str = "same",
        **kwargs,
    ):
        """Args:
        channels: of the output.
        kernel_size: of the spatial convolution, whose stride is 2.
        temporal_kernel_size: frames of the temporal convolution; 0 for none.
        temporal_dilation: step between those frames.
        pool_size: window of the max pool, whose stride is 2; 0 for none.
        padding: of the spatial convolution, symmetric or same; see `SpatialConvolution`.
        pool_padding: the same of the max pool.
        """
        super().__init__(**kwargs)
        self.channels = channels
        self.kernel_size = kernel_size
        self.temporal_kernel_size = temporal_kernel_size
        self.temporal_dilation = temporal_dilation
        self.pool_size = pool_size
        self.padding = padding
        self.pool_padding = pool_padding
        self.spatial = spatial_convolution(
            channels, kernel_size, 2, "spatial", padding, self.execution
        )
        self.spatial_norm = batch_norm(name="spatial_norm", execution=self.execution)
        if temporal_kernel_size:
            self.temporal = TemporalConvolution(
                channels,
                temporal_kernel_size,
                temporal_dilation,
                name="temporal",
                execution=self.execution,
            )
            self.temporal_norm = batch_norm(name="temporal_norm", execution=self.execution)

    def build(self, input_shape: tf.TensorShape) -> None:
        shape = build_path(input_shape, self.spatial, self.spatial_norm)
        if self.temporal_kernel_size:
            build_path(shape, self.temporal, self.temporal_norm)
        super().build(input_shape)

    def call(
        self, x: tf.Tensor, frames: int | tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Applies the stem.

        Args:
          x: [batch * time, height, width, 3 or 2], normalised rgb or flow in pixels per frame.
          frames: time, a scalar.
          training: batch norm uses the batch's statistics.

        Returns:
          [batch * time, height / 4, width / 4, channels], or / 2 without a pool; sizes round up.
        """
        norms = [self.spatial_norm, *([self.temporal_norm] if self.temporal_kernel_size else [])]
        if self.pool_size and recomputes_norms(self.execution, norms, training):
            return recomputed_stem(self, x, frames)
        y = norm_relu(convolved(self.spatial, x, training), self.spatial_norm, training)
        if self.temporal_kernel_size:
            y = time_axis.over_time(
                y, frames, functools.partial(self._over_time, training=training)
            )
        return self._pool(y) if self.pool_size else y

    def _pool(self, x: tf.Tensor) -> tf.Tensor:
        if self.pool_padding == "same":
            return tf.nn.max_pool2d(x, self.pool_size, 2, "SAME")
        # No value is below 0 after the ReLU, so zeros change no maximum; TFLite has no pool that pads otherwise.
        before, after = self._pool_margins()
        margins = [before, after]
        padded = tf.pad(x, [[0, 0], margins, margins, [0, 0]])
        return tf.nn.max_pool2d(padded, self.pool_size, 2, "VALID")

    def _pool_margins(self) -> tuple[int, int]:
        """Returns pixels that symmetric padding adds in front and behind, so that ceil(size / 2) windows fit."""
        return (self.pool_size - 1) // 2, self.pool_size // 2

    def pool_attributes(self) -> dict[str, Any]:
        """Returns the attributes of TensorFlow's pooling operations that set their padding."""
        if self.pool_padding == "same":
            return {"padding": "SAME"}
        sides = self._pool_margins() * 2
        return {"padding": "EXPLICIT", "explicit_paddings": [0, 0, *sides, 0, 0]}

    def _over_time(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        return norm_relu(convolved(self.temporal, x, training), self.temporal_norm, training)


@register
class ObjectStem(Layer):
    """Max pool 4x4 / 4 of one channel per class, without those channels ever being in memory at full size.

    A class is 1 where any pixel of the 4x4 window has its id: the maximum of 16 one-hot maps, all of them at the
    pooled size. At full size, 151 float channels would be 604 times the bytes of the ids.
    """

    def __init__(self, num_object_classes: int, **kwargs):
        """Args:
        num_object_classes: channels; ids from this on (255 = unlabelled) light none of them.
        """
        super().__init__(**kwargs)
        self.num_object_classes = num_object_classes

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Pools and spreads the ids.

        Args:
          ids: uint8 [batch * time, height, width].

        Returns:
          0 or 1 in the layer's compute dtype, [batch * time, ceil(height / 4), ceil(width / 4), classes].
        """
        padded = _padded(ids)
        counts = self.execution.cpu_kernels
        pooled = counted(padded, self.num_object_classes) if counts else self._largest(padded)
        return tf.cast(pooled, self.compute_dtype)

    def present(self, ids: tf.Tensor) -> PresentMap:
        """Computes `call` without the channels of classes that no frame shows; ids as of `call`."""
        with tf.name_scope(self.name):  # as a call of the layer has
            return present_map(_padded(ids), self.num_object_classes, self.compute_dtype)

    def _largest(self, padded: tf.Tensor) -> tf.Tensor:
        pooled = None
        for row in range(OBJECT_POOL):
            for column in range(OBJECT_POOL):
                corner = tf.cast(padded[:, row::OBJECT_POOL, column::OBJECT_POOL], tf.int32)
                # Whole numbers: TFLite's ONE_HOT of 8-bit quantised floats gives 0.5 where 1 belongs.
                lit = tf.one_hot(corner, self.num_object_classes, dtype=tf.int32)
                pooled = lit if pooled is None else tf.maximum(pooled, lit)
        return pooled


def make_stem(plan: StemPlan, architecture: Architecture, name: str, execution: Execution) -> Layer:
    """Makes a stem's layer.

    Args:
      plan: its numbers.
      architecture: the graph, whose header sets how convolutions and pools pad.
      name: of the layer.
      execution: of the network.
    """
    if not plan.kernel_size:
        return ObjectStem(plan.channels, execution=execution, name=name)
    return ConvolutionalStem(
        plan.channels,
        plan.kernel_size,
        plan.temporal_kernel_size,
        plan.temporal_dilation,
        plan.pool_size,
        padding=architecture.convolution_padding,
        pool_padding=architecture.stem_pool_padding,
        execution=execution,
        name=name,
    )


def _padded(ids: tf.Tensor) -> tf.Tensor:
    """Pads to whole windows, with ids of no class."""
    _, height, width = time_axis.sizes(ids)
    padding = [[0, 0], [0, -height % OBJECT_POOL], [0, -width % OBJECT_POOL]]
    return tf.pad(ids, padding, constant_values=_NO_CLASS)
