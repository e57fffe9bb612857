"""Pools the logits of clips and crops to the scores of videos, after the forward pass (numpy only)."""

from __future__ import annotations

import numpy as np

from official_vision.specs import EvaluationSpec


def probabilities(logits: np.ndarray, activation: str) -> np.ndarray:
    """Computes the sigmoid, or the softmax over the last axis, in float64.

    In float32 the sigmoid of every logit above 17 is 1: clips with different logits would tie.
    """
    logits = np.asarray(logits, np.float64)
    if activation == "sigmoid":
        # Of the magnitude, so that the exponential cannot overflow.
        small = np.exp(-np.abs(logits))
        return np.where(logits >= 0, 1, small) / (1 + small)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def pool_logits(
    logits: np.ndarray, owner: np.ndarray, activation: str, spec: EvaluationSpec
) -> np.ndarray:
    """Merges the scores of each video's clips and crops.

    Args:
      logits: float [clips, classes], clips of every video and every crop.
      owner: int [clips], the video of each clip, 0 to videos - 1; every video has a clip.
      activation: sigmoid or softmax.
      spec: what is pooled, and how.

    Returns:
      Probabilities, float64 [videos, classes].
    """
    over_logits = spec.pooled_values == "logits"
    values = np.asarray(logits, np.float64) if over_logits else probabilities(logits, activation)
    order = np.argsort(owner, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    merged = np.stack([_pool(clips, spec) for clips in np.split(values[order], starts[1:])])
    return probabilities(merged, activation) if over_logits else merged


def pool_labels(labels: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Returns a video's labels: the union over its clips, bool [videos, classes]; arguments as above."""
    merged = np.zeros((owner.max() + 1, labels.shape[1]), bool)
    np.logical_or.at(merged, owner, labels > 0)
    return merged


def _pool(clips: np.ndarray, spec: EvaluationSpec) -> np.ndarray:
    """Pools [clips, classes] of one video to [classes]."""
    if spec.pooling == "max":
        return clips.max(axis=0)
    if spec.pooling == "top_k":
        # Each class takes other clips: an action is seen in some of them, another in others.
        clips = np.sort(clips, axis=0)[-spec.top_k :]
    return clips.mean(axis=0)
