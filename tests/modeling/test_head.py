"""The classifier of every frame and its pooling over time (supplement A.3), against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from official_vision.modeling.head import ClassificationHead
from tests.modeling import twins

BATCH, FRAMES, CHANNELS, CLASSES = 3, 5, 4, 6


def built(pooling: str, hidden: int = 0) -> tuple[ClassificationHead, np.ndarray]:
    head = ClassificationHead(CLASSES, pooling, dropout_rate=0.5, hidden_channels=hidden)
    average = twins.maps(BATCH * FRAMES, CHANNELS)
    head(average, FRAMES)
    twins.randomise(head)
    return head, average


def dense(layer, x: np.ndarray) -> np.ndarray:
    y = x @ twins.value(layer.kernel)
    return y if layer.bias is None else y + twins.value(layer.bias)


@pytest.mark.parametrize("hidden", [0, 7])
@pytest.mark.parametrize("pooling", ["max", "mean", "softmax", "softmax_logits"])
def test_pooling(pooling: str, hidden: int) -> None:
    head, average = built(pooling, hidden)
    features = average.astype(np.float64)
    if hidden:
        features = twins.relu(dense(head.hidden, features))
    features = features.reshape(BATCH, FRAMES, -1)
    frame_logits = dense(head.classifier, features)
    if pooling == "max":
        expected = frame_logits.max(axis=1)
    elif pooling == "mean":  # of the features, as in section 6
        expected = dense(head.classifier, features.mean(axis=1))
    elif pooling == "softmax_logits":
        powers = np.exp(frame_logits / np.sqrt(FRAMES))
        expected = (powers * frame_logits).sum(axis=1) / powers.sum(axis=1)
    else:
        weights = twins.softmax(dense(head.attention, features), axis=1)
        expected = (weights * frame_logits).sum(axis=1)
    outputs = head(average, FRAMES, training=False)
    np.testing.assert_allclose(outputs["logits"], expected, atol=1e-5)
    np.testing.assert_allclose(outputs["frame_logits"], frame_logits, atol=1e-5)


def test_dropout_is_of_training_alone() -> None:
    head, average = built("max")
    calm = head(average, FRAMES, training=False)["frame_logits"]
    np.testing.assert_array_equal(calm, head(average, FRAMES)["frame_logits"])
    assert np.abs(head(average, FRAMES, training=True)["frame_logits"] - calm).max() > 0.1


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"max, mean, softmax, softmax_logits\. Received: 'median'"
    ):
        ClassificationHead(CLASSES, "median")
