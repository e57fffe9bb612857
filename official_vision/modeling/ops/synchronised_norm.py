"""Batch norm by the statistics of all replicas together, with one exchange forward and one backward.

Keras's synchronised norm exchanges three values forward and two backward and goes over each map a dozen times;
TensorFlow's fused operations do here what is left when the statistics are known. Of a map of 64 x 28 x 28 x 128 on
one core that is 20 ms against 60, where the norm of a single device takes 11.

    forward     n_r, m_r, v_r: rows, mean and variance of replica r     N = sum_r n_r
                mean = sum_r n_r m_r / N       variance = sum_r n_r (v_r + m_r^2) / N - mean^2
                y = scale * x^ + offset        x^ = (x - mean) / sqrt(variance + epsilon)
    backward    dx = scale / sqrt(variance + epsilon) * (dy - sum dy / N - x^ * sum dy x^ / N)

Sums of the backward pass are over all replicas; gradients of scale and offset are left to the optimizer, which sums
them with all others.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def normalise_over_replicas(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalises by mean and variance over rows, height and width of all replicas.

    Args:
      x: [rows, height, width, channels] of this replica; may have no row where others have some.
      scale: gamma, float32 [channels].
      offset: beta, float32 [channels].
      epsilon: added to the variance.

    Returns:
      The normalised map, of the shape and dtype of x; mean and variance over all replicas, float32 [channels]: the
      variance is the unbiased one, as what TensorFlow's fused norm returns for moving averages.
    """

    @tf.custom_gradient
    def forward(x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tuple:
        mean, variance, count = _moments_of_all(x)
        y = _affine(x, scale, offset, mean, variance, epsilon)

        def backward(dy: tf.Tensor, *_: Any) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            # With given statistics: what is left of dx are the two sums.
            dx, dscale, doffset, *_ = tf.raw_ops.FusedBatchNormGradV3(
                y_backprop=tf.cast(dy, x.dtype),
                x=x,
                scale=scale,
                reserve_space_1=mean,
                reserve_space_2=variance,
                reserve_space_3=tf.zeros([0]),
                epsilon=epsilon,
                is_training=False,
            )
            present = tf.size(x) > 0
            sums = tf.where(present, tf.stack([dscale, doffset]), 0.0)
            of_scale, of_offset = tf.unstack(sum_over_replicas(sums) / count)
            factor = tf.math.rsqrt(variance + epsilon)
            slope = -scale * tf.square(factor) * of_scale
            # A unit variance: the fused operation is a product and a sum in one pass.
            unit = tf.fill(tf.shape(mean), 1.0 - epsilon)
            dx += _affine(x, slope, -scale * factor * of_offset, mean, unit, epsilon)
            return dx, sums[0], sums[1]

        return (y, mean, variance * count / tf.maximum(count - 1.0, 1.0)), backward

    return forward(x, scale, offset)


def sum_over_replicas(values: tf.Tensor) -> tf.Tensor:
    """Sums a tensor over the replicas of a step; outside of one it stays as it is."""
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)


def _moments_of_all(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns mean and biased variance over all replicas, float32 [channels], and the positions that they are of."""
    channels = x.shape[-1]
    rows = tf.cast(tf.size(x) // channels, tf.float32)
    ones, zeros = tf.ones([channels]), tf.zeros([channels])
    # In one pass, with sums in float32 whatever the map's dtype; its normalised map is not needed.
    _, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=ones,
        offset=zeros,
        mean=zeros,
        variance=ones,
        exponential_avg_factor=1.0,
        is_training=True,
    )
    variance *= tf.math.divide_no_nan(rows - 1.0, rows)  # the operation divides by rows - 1
    parts = tf.where(rows > 0, tf.stack([mean, variance + tf.square(mean)]) * rows, 0.0)
    of_all = sum_over_replicas(tf.concat([tf.reshape(parts, [-1]), rows[None]], axis=0))
    count = of_all[-1]
    mean, square = tf.unstack(tf.reshape(of_all[:-1], [2, channels]) / count)
    return mean, tf.maximum(square - tf.square(mean), 0.0), count


def _affine(
    x: tf.Tensor,
    scale: tf.Tensor,
    offset: tf.Tensor,
    mean: tf.Tensor,
    variance: tf.Tensor,
    epsilon: float,
) -> tf.Tensor:
    """Returns scale * (x - mean) / sqrt(variance + epsilon) + offset in one pass."""
    return tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=offset,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=False,
    )[0]
