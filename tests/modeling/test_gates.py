"""Gates against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from official_vision.modeling.gates import (
    ChannelGate,
    MergedPeerGate,
    PeerAttentionGate,
    StaticGate,
)
from tests.modeling import twins

ROWS = 6


def averages(*widths: int) -> list[np.ndarray]:
    return [twins.maps(ROWS, width, seed=i) for i, width in enumerate(widths)]


def peer_twin(gate, sources: list[np.ndarray]) -> np.ndarray:
    """sigmoid(FC(sum_k softmax(h)_k map_k(x_k))); the widest have no map."""
    weights = twins.softmax(twins.value(gate.peer_logits))
    widest = max(x.shape[-1] for x in sources)
    rows = iter(twins.value(gate.maps.kernel)) if hasattr(gate, "maps") else iter(())
    mixed = 0.0
    for weight, x in zip(weights, sources, strict=True):
        width = x.shape[-1]
        kernel = np.eye(widest) if width == widest else np.array([next(rows) for _ in range(width)])
        mixed = mixed + weight * (x.astype(np.float64) @ kernel)
    assert next(rows, None) is None
    return twins.sigmoid(mixed @ twins.value(gate.dense.kernel) + twins.value(gate.dense.bias))


def test_static_gate() -> None:
    gate = StaticGate(5)
    (source,) = averages(3)
    gate(source)
    twins.randomise(gate)
    expected = np.tile(twins.sigmoid(twins.value(gate.logits)), (ROWS, 1))
    np.testing.assert_allclose(gate(source), expected, atol=1e-6)
    np.testing.assert_array_equal(gate(source), gate(source + 1))


def test_channel_gate() -> None:
    gate = ChannelGate(5, 3)
    (source,) = averages(3)
    gate(source)
    twins.randomise(gate)
    kernel, bias = twins.value(gate.dense.kernel), twins.value(gate.dense.bias)
    np.testing.assert_allclose(gate(source), twins.sigmoid(source @ kernel + bias), atol=1e-6)


@pytest.mark.parametrize("widths", [(4,), (4, 4), (2, 4, 3, 4, 2), (3, 5), (5, 3, 3)])
def test_peer_attention_gate(widths: tuple[int, ...]) -> None:
    gate = PeerAttentionGate(6, widths)
    sources = averages(*widths)
    gate(sources)
    twins.randomise(gate)
    np.testing.assert_allclose(gate(sources), peer_twin(gate, sources), atol=1e-6)
    np.testing.assert_allclose(
        gate.peer_distribution(), twins.softmax(twins.value(gate.peer_logits)), atol=1e-6
    )


@pytest.mark.parametrize("widths", [(4,), (2, 4, 3, 4, 2), (5, 3, 3)])
def test_a_merged_gate_opens_as_the_trained_one(widths: tuple[int, ...]) -> None:
    gate, merged = PeerAttentionGate(6, widths), MergedPeerGate(6, widths)
    sources = averages(*widths)
    gate(sources)
    twins.randomise(gate)
    merged(sources)
    merged.set_weights([gate.peer_logits, *MergedPeerGate.merged(gate)])
    np.testing.assert_allclose(merged(sources), peer_twin(gate, sources), atol=1e-6)
    np.testing.assert_array_equal(merged.peer_distribution(), gate.peer_distribution())
    assert len(merged.weights) == 3


@pytest.mark.parametrize("position", range(4))
def test_a_softmax_at_one_peer_leaves_that_peer_alone(position: int) -> None:
    widths = (2, 5, 3, 5)
    gate = PeerAttentionGate(4, widths)
    sources = averages(*widths)
    gate(sources)
    twins.randomise(gate)
    gate.peer_logits.assign(200.0 * np.eye(4)[position])
    mapped = sources[position] @ gate.candidate_map(position).numpy()
    kernel, bias = twins.value(gate.dense.kernel), twins.value(gate.dense.bias)
    np.testing.assert_allclose(gate(sources), twins.sigmoid(mapped @ kernel + bias), atol=1e-6)


def test_gates_are_of_frames_and_start_near_a_half() -> None:
    gate = PeerAttentionGate(4, (2, 3))
    sources = averages(2, 3)
    before = gate(sources).numpy()
    assert np.abs(before - 0.5).max() < 0.05
    twins.randomise(gate)
    before = gate(sources).numpy()
    sources[0][2] += 1
    changed = np.any(gate(sources).numpy() != before, axis=-1)
    assert list(np.flatnonzero(changed)) == [2]


def test_peer_logits_are_learned() -> None:
    """Defect 1 of the port: a random constant. Each gets its gradient, and starts near 0."""
    gate = PeerAttentionGate(4, (2, 3, 3))
    sources = averages(2, 3, 3)
    gate(sources)
    assert np.abs(gate.peer_logits.numpy()).max() < 0.06
    twins.randomise(gate)
    assert any(variable is gate.peer_logits for variable in gate.trainable_variables)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(gate(sources))
    gradient = tape.gradient(total, gate.peer_logits).numpy()

    def at(logits: np.ndarray) -> float:
        gate.peer_logits.assign(logits)
        return peer_twin(gate, sources).sum()

    logits = twins.value(gate.peer_logits)
    step = 1e-3 * np.eye(3)
    slopes = [(at(logits + shift) - at(logits - shift)) / 2e-3 for shift in step]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-3)
    assert np.all(np.abs(gradient) > 1e-4)
