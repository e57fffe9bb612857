"""Optical flow of a frame pair, and its uint8 form in shards."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

# Largest code on either side of the zero, which is 128: codes 1 to 255 are symmetric.
CODES = 127
ZERO_CODE = 128
_TVL1_ITERATIONS = 40


def dis_flow(fast: bool = False) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Returns a function of two uint8 grey frames: DIS flow (Kroeger et al. 2016) by OpenCV.

    Args:
      fast: from frames of a quarter of the size, not half, and with fewer patches.
    """
    solver = cv2.DISOpticalFlow_create(
        cv2.DISOPTICAL_FLOW_PRESET_FAST if fast else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    )
    # DIS matches 8x8 patches over a pyramid and needs some room; smaller frames are enlarged.
    least = 32

    def flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        height, width = first.shape
        if min(height, width) >= least:
            return solver.calc(first, second, None)
        bigger = (max(width, least), max(height, least))
        enlarged = solver.calc(cv2.resize(first, bigger), cv2.resize(second, bigger), None)
        shrunk = cv2.resize(enlarged, (width, height), interpolation=cv2.INTER_AREA)
        return shrunk * np.float32([width / bigger[0], height / bigger[1]])

    return flow


def tvl1_flow(
    first: np.ndarray,
    second: np.ndarray,
    iterations: int = _TVL1_ITERATIONS,
    tau: float = 0.25,
    weight: float = 0.15,
    theta: float = 0.3,
    border: str = "authors",
) -> np.ndarray:
    """Computes TV-L1 flow without a pyramid (Piergiovanni & Ryoo 2019), the twin of modeling/flow.py.

    Args:
      first, second: grey frames, 0..255, [height, width].
      iterations, tau, weight (lambda), theta: as in the paper.
      border: authors or textbook, as in modeling/flow.py.

    Returns:
      float32 [height, width, 2] in pixels, x to the right, then y down. Motions of more than about
      a pixel are underestimated: one scale sees no further.
    """
    first, second = first.astype(np.float32), second.astype(np.float32)
    gradient = np.stack(_central_differences(second), -1)
    steepness = (gradient**2).sum(-1) + 1e-12
    u = np.zeros_like(gradient)
    p_x, p_y = np.zeros_like(u), np.zeros_like(u)
    for _ in range(iterations):
        residual = second - first + (gradient * u).sum(-1)
        shift = np.clip(-residual / steepness, -weight * theta, weight * theta)
        u = u + shift[..., None] * gradient + theta * _divergence(p_x, p_y)
        u_x, u_y = np.zeros_like(u), np.zeros_like(u)
        u_x[:, :-1], u_y[:-1] = u[:, 1:] - u[:, :-1], u[1:] - u[:-1]
        if border == "authors":
            u_x[:, -1], u_y[-1] = -u[:, -1], -u[-1]
        scale = 1 + tau / theta * np.sqrt(u_x**2 + u_y**2)
        p_x, p_y = (p_x + tau / theta * u_x) / scale, (p_y + tau / theta * u_y) / scale
        if border == "authors":  # whose divergence reads no p there; nor does anything else
            p_x[:, -1], p_y[-1] = 0, 0
    return u


def quantise(flow: np.ndarray, bound: float) -> np.ndarray:
    """Converts float [...] pixels to uint8 codes 1..255, 128 for zero; values beyond `bound` are clipped.

    Within the bound the round trip errs by at most half a step, bound / 254.
    """
    codes = np.clip(flow, -bound, bound)
    codes *= CODES / bound
    np.rint(codes, out=codes)
    codes += ZERO_CODE
    return codes.astype(np.uint8)


def dequantise(codes: np.ndarray, bound: float) -> np.ndarray:
    """Converts uint8 codes to float32 pixels."""
    return (codes.astype(np.float32) - ZERO_CODE) * np.float32(bound / CODES)


def _central_differences(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    padded = np.pad(image, 1)
    x = 0.5 * (padded[1:-1, 2:] - padded[1:-1, :-2])
    y = 0.5 * (padded[2:, 1:-1] - padded[:-2, 1:-1])
    return x, y


def _divergence(p_x: np.ndarray, p_y: np.ndarray) -> np.ndarray:
    divergence = p_x + p_y
    divergence[:, 1:] -= p_x[:, :-1]
    divergence[1:] -= p_y[:-1]
    return divergence
