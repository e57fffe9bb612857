"""The formulas of the network in numpy, written without a look at TensorFlow's layers.

Maps are float64 [rows, height, width, channels], where rows = batch * time.
"""

from __future__ import annotations

import numpy as np

EPSILON = 1e-5


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def padded(x: np.ndarray, kernel: int, stride: int, value: float, padding: str) -> np.ndarray:
    pads = [((kernel - 1) // 2, kernel // 2)] * 2
    if padding == "same":
        pads = [same_padding(x.shape[axis], kernel, stride) for axis in (1, 2)]
    return np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)


def taps(x: np.ndarray, kernel: int, stride: int, value: float, padding: str):
    """Yields (row, column, what that kernel position sees of every window)."""
    height, width = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    bordered = padded(x, kernel, stride, value, padding)
    for row in range(kernel):
        for column in range(kernel):
            seen = bordered[:, row::stride, column::stride][:, :height, :width]
            yield row, column, seen


def convolution(
    x: np.ndarray, kernel: np.ndarray, stride: int = 1, padding: str = "symmetric"
) -> np.ndarray:
    """Kernel [size, size, channels, filters]."""
    return sum(seen @ kernel[i, j] for i, j, seen in taps(x, len(kernel), stride, 0.0, padding))


def max_pool(x: np.ndarray, size: int, stride: int, padding: str = "same") -> np.ndarray:
    return np.max([seen for _, _, seen in taps(x, size, stride, -np.inf, padding)], axis=0)


def shifted(x: np.ndarray, frames: int, steps: int) -> np.ndarray:
    """x[t + steps] at t, zeros outside the clip."""
    clips = x.reshape(-1, frames, *x.shape[1:])
    moved = np.zeros_like(clips)
    for t in range(frames):
        if 0 <= t + steps < frames:
            moved[:, t] = clips[:, t + steps]
    return moved.reshape(x.shape)


def temporal_convolution(
    x: np.ndarray, kernel: np.ndarray, frames: int, dilation: int
) -> np.ndarray:
    """Kernel [size, 1, channels, filters]."""
    middle = len(kernel) // 2
    return sum(
        shifted(x, frames, (i - middle) * dilation) @ kernel[i, 0] for i in range(len(kernel))
    )


def convolution_3d(x: np.ndarray, kernel: np.ndarray, frames: int, dilation: int) -> np.ndarray:
    """Kernel [3, 3, 3, channels, filters], dilated in time alone."""
    return sum(
        convolution(shifted(x, frames, (i - 1) * dilation), kernel[i]) for i in range(len(kernel))
    )


def batch_norm(x: np.ndarray, layer, training: bool) -> np.ndarray:
    """With the weights of a Keras batch norm."""
    mean, variance = value(layer.moving_mean), value(layer.moving_variance)
    if training:
        mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    normal = (x - mean) / np.sqrt(variance + EPSILON)
    return normal * value(layer.gamma) + value(layer.beta)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def value(variable) -> np.ndarray:
    return variable.numpy().astype(np.float64)


def randomise(layer, seed: int = 0) -> None:
    """Draws every weight anew, so that none is 0 or 1; scales and variances stay positive."""
    random = np.random.default_rng(seed)
    for variable in layer.variables:
        if "gamma" in variable.name or "variance" in variable.name:
            drawn = random.uniform(0.5, 1.5, variable.shape)
        else:
            # Kernels by their fan in: a whole network's activations neither vanish nor explode.
            fan_in = np.prod(variable.shape[:-1])
            deviation = fan_in**-0.5 if variable.shape.rank > 1 else 0.5
            drawn = random.normal(0, deviation, variable.shape)
        variable.assign(drawn)


def maps(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
