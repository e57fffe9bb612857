"""Optical flow inside the model: TV-L1 as a layer (Piergiovanni & Ryoo, CVPR 2019, arXiv 1810.01455).

repeat: rho = (I1 - I0) + g . u
        v   = u + d g,   d = clip(-rho / |g|^2, -lambda theta, lambda theta)
        u   = v + theta div(p)
        p   = (p + tau / theta grad(u)) / (1 + tau / theta |grad(u)|)
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

import tensorflow as tf

from official_vision.modeling.ops import frame_layout as time_axis
from official_vision.modeling.ops.cpu_kernels.compiled_loop import loop_for_xla
from official_vision.modeling.ops.layer import Layer, register

# Where the image is flat, g is 0 and any d gives d g = 0; this only keeps the division finite.
_TINY = 1e-12
_Field = tuple[tf.Tensor, tf.Tensor]  # its x, then its y component: [..., height, width]


@register
class RepresentationFlow(Layer):
    """Flow from each frame to the next, without learned weights and without gradient.

    The loop is a while-loop: its graph is as small for 40 iterations as for one. One iteration is some
    thirty elementwise operations, each of which would read and write whole maps: 16 frames of 224 x 224
    take 0.32 s on 2 cores like that. XLA fuses them. On CPUs pairs of frames are solved one by one, so
    that a pair's maps stay in the processor's cache: 0.18 s without XLA, 0.11 s with it.
    """

    def __init__(
        self,
        iterations: int = 40,
        step_tau: float = 0.25,
        weight_lambda: float = 0.15,
        tightness_theta: float = 0.3,
        border: str = "authors",
        stretch: str = "clip",
        **kwargs,
    ):
        """Args, with the paper's values as defaults:
        iterations: of the loop.
        step_tau: step of the dual variable p.
        weight_lambda: of the data term against smoothness.
        tightness_theta: of the coupling between u and v.
        border: authors: as in the authors' TensorFlow code u is 0 beyond the last row and column, and div(p)
          never reads p there; textbook: the difference beyond them is 0 (TV-L1, Zach et al. 2007).
        stretch: clip: grey values are stretched to 0..255 by the least and the greatest of each clip; batch: by
          those of the whole batch, as in the authors' code, so that a clip's flow depends on the other clips of its
          batch.
        """
        # Differences of near-equal grey values: half precision would leave nothing of them.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.iterations = iterations
        self.step_tau = step_tau
        self.weight_lambda = weight_lambda
        self.tightness_theta = tightness_theta
        self.border = border
        self.stretch = stretch
        self._compiled_flow = tf.function(self._flow, jit_compile=True, autograph=False)

    def call(self, rgb: tf.Tensor, clip_by_clip: bool = False) -> tf.Tensor:
        """Computes the flow; if the execution sets it, XLA compiles it once for each shape of clips.

        Args:
          rgb: [batch, time, height, width, 3], any linear scale: its grey values are stretched to 0..255.
          clip_by_clip: with any `stretch`, no clip's flow depends on the clips beside it.

        Returns:
          float32 [batch, time, height, width, 2] in pixels per frame, x to the right, then y down;
          the last frame repeats the flow before it (zero for a single frame).
        """
        flow = self._compiled_flow if self.execution.compiles_flow else self._flow
        stretch = "clip" if clip_by_clip else self.stretch
        # An argument, so that a network traced with either rule has a compiled function for each.
        return tf.stop_gradient(flow(tf.stop_gradient(rgb), stretch))

    def _flow(self, rgb: tf.Tensor, stretch: str) -> tf.Tensor:
        batch, frames, height, width, _ = time_axis.sizes(rgb)
        grey = _stretched(tf.reduce_mean(tf.cast(rgb, tf.float32), axis=-1), stretch)
        first = tf.reshape(grey[:, :-1], [-1, height, width])
        second = tf.reshape(grey[:, 1:], [-1, height, width])
        # XLA loops over pairs only if it knows that there are any.
        has_pairs = isinstance(frames, int) and frames > 1
        compiled, on_cpu = self.execution.compiles_flow, self.execution.cpu_kernels
        at_once = compiled and not (has_pairs and on_cpu)
        solve = self._solve if at_once else self._solve_one_by_one
        if not (at_once or has_pairs):
            solve = functools.partial(_unless_empty, solve)
        flow = tf.stack(tf.unstack(solve(first, second)), axis=-1)
        flow = tf.reshape(flow, [batch, frames - 1, height, width, 2])
        padded = tf.concat([flow, tf.zeros([batch, 1, height, width, 2])], axis=1)
        last_from = tf.maximum(frames - 2, 0)
        steps = tf.minimum(tf.range(frames), last_from)
        return tf.gather(padded, steps, axis=1)

    def _solve_one_by_one(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """Solves as `_solve`, pair by pair."""
        by_pair = tf.map_fn(
            lambda pair: self._solve(*pair),
            (first, second),
            fn_output_signature=tf.TensorSpec([2, *first.shape[1:]], tf.float32),
            parallel_iterations=os.cpu_count() or 1,
        )
        return tf.transpose(by_pair, [1, 0, 2, 3])

    def _solve(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """Solves pairs of images, all [..., height, width].

        Each component of a field is a separate map: interleaved pixel by pixel, products of a map
        and a field would be broadcasts along the innermost axis; stacked, XLA's loops take a fifth longer.

        Returns:
          u, [2, ..., height, width].
        """
        gradient = _central_differences(second)
        inverse = -1.0 / (gradient[0] ** 2 + gradient[1] ** 2 + _TINY)
        # What -rho / |g|^2 needs of the images: a constant, and factors of u.
        constant, factors = (second - first) * inverse, [g * inverse for g in gradient]
        bound = self.weight_lambda * self.tightness_theta
        ratio = self.step_tau / self.tightness_theta

        def iterate(u: _Field, q: tuple[_Field, _Field]) -> tuple[_Field, tuple[_Field, _Field]]:
            # q is theta p: the divergence is then added as it is, and tau scales gradients of u.
            shift = constant + factors[0] * u[0] + factors[1] * u[1]
            shift = tf.clip_by_value(shift, -bound, bound)
            moved = [
                component + shift * g + self._divergence(*dual)
                for component, g, dual in zip(u, gradient, q, strict=True)
            ]
            return tuple(moved), tuple(map(pulled, moved, q))

        def pulled(u: tf.Tensor, q: _Field) -> _Field:
            # One dual pair for each component of the flow: |grad| is taken component by component.
            slope = self._forward_differences(u)
            scale = 1.0 / (1.0 + ratio * tf.sqrt(slope[0] ** 2 + slope[1] ** 2))
            return tuple(
                (component + self.step_tau * s) * scale
                for component, s in zip(q, slope, strict=True)
            )

        zero = (tf.zeros_like(constant),) * 2
        u, _ = self._iterated(iterate, (zero, (zero, zero)))
        return tf.stack(u)

    def _forward_differences(self, u: tf.Tensor) -> _Field:
        """Returns the x and y differences to the next pixel; [..., height, width]."""
        if self.border == "authors":
            return _shifted(u, -1, -1) - u, _shifted(u, -2, -1) - u
        x = _padded(u[..., 1:] - u[..., :-1], -1, 0, 1)
        y = _padded(u[..., 1:, :] - u[..., :-1, :], -2, 0, 1)
        return x, y

    def _divergence(self, q_x: tf.Tensor, q_y: tf.Tensor) -> tf.Tensor:
        """Returns backward differences, the adjoint of the textbook's forward ones; [..., height, width]."""
        x, y = q_x, q_y
        if self.border == "authors":
            x, y = _padded(q_x[..., :-1], -1, 0, 1), _padded(q_y[..., :-1, :], -2, 0, 1)
        return (x - _shifted(q_x, -1, 1)) + (y - _shifted(q_y, -2, 1))

    def _iterated(self, iterate: Callable[..., tuple], state: tuple) -> tuple:
        if self.execution.compiles_flow and self.execution.cpu_kernels:
            return loop_for_xla(iterate, state, self.iterations)
        return tf.while_loop(lambda *_: True, iterate, state, maximum_iterations=self.iterations)


def _unless_empty(
    solve: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], first: tf.Tensor, second: tf.Tensor
) -> tf.Tensor:
    """Solves as `solve`, also without any pair: one frame has none, and a loop needs one to know its shape."""
    return tf.cond(
        tf.shape(first)[0] > 0,
        lambda: solve(first, second),
        lambda: tf.zeros(tf.concat([[2], tf.shape(first)], axis=0)),
    )


def _stretched(grey: tf.Tensor, stretch: str) -> tf.Tensor:
    """Scales [batch, time, height, width] to 0..255 by the least and the greatest value of each clip or of all."""
    axes = [1, 2, 3] if stretch == "clip" else None
    low, high = (f(grey, axes, keepdims=True) for f in (tf.reduce_min, tf.reduce_max))
    return (grey - low) * tf.math.divide_no_nan(255.0, high - low)


def _central_differences(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns x and y gradients by [-.5, 0, .5] with zeros outside; [..., height, width]."""
    x = 0.5 * (_shifted(image, -1, -1) - _shifted(image, -1, 1))
    y = 0.5 * (_shifted(image, -2, -1) - _shifted(image, -2, 1))
    return x, y


def _shifted(x: tf.Tensor, axis: int, step: int) -> tf.Tensor:
    """Moves the content one pixel on (step 1) or back (-1) along an axis, and fills with zeros."""
    inner = slice(None, -1) if step > 0 else slice(1, None)
    differences = x[..., inner] if axis == -1 else x[..., inner, :]
    return _padded(differences, axis, int(step > 0), int(step < 0))


def _padded(x: tf.Tensor, axis: int, before: int, after: int) -> tf.Tensor:
    """Adds zeros along an axis, -1 or -2."""
    paddings = [[0, 0]] * len(x.shape)
    paddings[axis] = [before, after]
    return tf.pad(x, paddings)
