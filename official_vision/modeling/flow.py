"""Optical flow inside the model: TV-L1 as a layer (Piergiovanni & Ryoo, CVPR 2019, arXiv 1810.01455).

repeat: rho = (I1 - I0) + g . u
        v   = u + d g,   d = clip(-rho / |g|^2, -lambda theta, lambda theta)
        u   = v + theta div(p)
        p   = (p + tau / theta grad(u)) / (1 + tau / theta |grad(u)|)
"""

from __future__ import annotations

import tensorflow as tf

from official_vision.modeling import frames as time_axis
from official_vision.modeling.layer import Layer, register

# Where the image is flat, g is 0 and any d gives d g = 0; this only keeps the division finite.
_TINY = 1e-12


@register
class RepresentationFlow(Layer):
    """Flow from each frame to the next, without learned weights and without gradient.

    The loop is a while-loop: its graph is as small for 40 iterations as for one.
    """

    def __init__(
        self,
        iterations: int = 40,
        step_tau: float = 0.25,
        weight_lambda: float = 0.15,
        tightness_theta: float = 0.3,
        **kwargs,
    ):
        """Args, with the paper's values as defaults:
        iterations: of the loop.
        step_tau: step of the dual variable p.
        weight_lambda: of the data term against smoothness.
        tightness_theta: of the coupling between u and v.
        """
        # Differences of near-equal grey values: half precision would leave nothing of them.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.iterations = iterations
        self.step_tau = step_tau
        self.weight_lambda = weight_lambda
        self.tightness_theta = tightness_theta

    def call(self, rgb: tf.Tensor) -> tf.Tensor:
        """Computes the flow.

        Args:
          rgb: [batch, time, height, width, 3], any linear scale: it is stretched to 0..255 by the
            batch's least and greatest grey value.

        Returns:
          float32 [batch, time, height, width, 2] in pixels a frame, x to the right, then y down;
          the last frame repeats the flow before it (zero for a single frame).
        """
        batch, frames, height, width, _ = time_axis.sizes(rgb)
        grey = _stretched(tf.reduce_mean(tf.cast(rgb, tf.float32), axis=-1))
        first = tf.reshape(grey[:, :-1], [-1, height, width])
        second = tf.reshape(grey[:, 1:], [-1, height, width])
        flow = tf.reshape(self._solve(first, second), [batch, frames - 1, height, width, 2])
        padded = tf.concat([flow, tf.zeros([batch, 1, height, width, 2])], axis=1)
        last_from = tf.maximum(frames - 2, 0)
        steps = tf.minimum(tf.range(frames), last_from)
        return tf.stop_gradient(tf.gather(padded, steps, axis=1))

    def _solve(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """[pairs, height, width] twice -> u, [pairs, height, width, 2]."""
        gradient = tf.stack(_central_differences(second), axis=-1)
        steepness = tf.reduce_sum(gradient**2, axis=-1) + _TINY
        difference = second - first
        bound = self.weight_lambda * self.tightness_theta
        ratio = self.step_tau / self.tightness_theta

        def iterate(u: tf.Tensor, p_x: tf.Tensor, p_y: tf.Tensor) -> tuple[tf.Tensor, ...]:
            residual = difference + tf.reduce_sum(gradient * u, axis=-1)
            shift = tf.clip_by_value(-residual / steepness, -bound, bound)
            v = u + shift[..., tf.newaxis] * gradient
            u = v + self.tightness_theta * _divergence(p_x, p_y)
            u_x, u_y = _forward_differences(u)
            # One dual pair for each component of the flow: |grad| is taken component by component.
            scale = 1.0 + ratio * tf.sqrt(u_x**2 + u_y**2)
            return u, (p_x + ratio * u_x) / scale, (p_y + ratio * u_y) / scale

        zeros = tf.zeros_like(gradient)
        u, _, _ = tf.while_loop(
            lambda *_: True,
            iterate,
            (zeros, zeros, zeros),
            maximum_iterations=self.iterations,
        )
        return u


def _stretched(grey: tf.Tensor) -> tf.Tensor:
    """Scales to 0..255 by the least and the greatest value of the whole batch."""
    low, high = tf.reduce_min(grey), tf.reduce_max(grey)
    return (grey - low) * tf.math.divide_no_nan(255.0, high - low)


def _central_differences(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """x and y gradients by [-.5, 0, .5] with zeros outside; [pairs, height, width]."""
    padded = tf.pad(image, [[0, 0], [1, 1], [1, 1]])
    x = 0.5 * (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2])
    y = 0.5 * (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1])
    return x, y


def _forward_differences(u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """x and y differences to the next pixel, 0 at the far border; [pairs, height, width, 2]."""
    x = tf.pad(u[:, :, 1:] - u[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
    y = tf.pad(u[:, 1:] - u[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
    return x, y


def _divergence(p_x: tf.Tensor, p_y: tf.Tensor) -> tf.Tensor:
    """Backward differences, the adjoint of the forward ones; [pairs, height, width, 2]."""
    x = p_x - tf.pad(p_x[:, :, :-1], [[0, 0], [0, 0], [1, 0], [0, 0]])
    y = p_y - tf.pad(p_y[:, :-1], [[0, 0], [1, 0], [0, 0], [0, 0]])
    return x + y
