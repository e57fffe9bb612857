"""Object maps of the present classes alone hold all that whole ones do."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from official_vision.modeling.execution import Execution
from official_vision.modeling.fusion import WeightedFusion
from official_vision.modeling.inference.folding import for_tflite
from official_vision.modeling.inference.inference_network import inference_network
from official_vision.modeling.network import AssembleNet
from official_vision.modeling.ops.cpu_kernels.sparse_objects import of_all_classes
from official_vision.modeling.stems import ObjectStem
from tests.modeling import small, twins


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    classes=st.integers(1, 255),
    shown=st.lists(st.integers(0, 255), min_size=1, max_size=40),
    seed=st.integers(0, 99),
)
def test_present_channels_are_those_of_the_whole_map(
    shape: tuple[int, int, int], classes: int, shown: list[int], seed: int
) -> None:
    ids = np.random.default_rng(seed).choice(np.array(shown, np.uint8), shape)
    lit, channels = ObjectStem(classes).present(ids)
    whole = ObjectStem(classes)(ids).numpy()
    present = np.flatnonzero(whole.any((0, 1, 2)))
    np.testing.assert_array_equal(channels[: len(present)], present)
    np.testing.assert_array_equal(lit[..., : len(present)], whole[..., present])
    assert not np.any(lit[..., len(present) :])
    assert len(channels) % 16 == 0
    np.testing.assert_array_equal(of_all_classes(lit, channels, classes), whole)


def test_what_no_row_shows_takes_no_channels() -> None:
    ids = np.full((2, 8, 8), 255, np.uint8)
    assert ObjectStem(151).present(ids).lit.shape == (2, 2, 2, 16)
    assert not np.any(ObjectStem(151).present(ids).lit)
    ids[0, 0] = [3, 150, 3, 3, 150, 151, 3, 3]
    np.testing.assert_array_equal(ObjectStem(151).present(ids).classes[:3], [3, 150, 0])


@pytest.mark.parametrize("widths", [(40,), (40, 3), (3, 40, 40), (3, 40, 5), (5, 40)])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("folded", [None, "float32", "bfloat16"])
def test_a_fusion_takes_either_map(
    widths: tuple[int, ...], gated: bool, folded: str | None
) -> None:
    """A lone object map, one beside others of its width, and one as wide as the target (which is 5, or 40)."""
    ids = np.random.default_rng(0).choice(np.array([0, 7, 39, 255], np.uint8), (4, 12, 16))
    dtype = folded or "float32"
    stem = ObjectStem(40, dtype=dtype)
    for target in (5, 40):
        execution = Execution("inference" if folded else "train", cpu_kernels=True)
        fusion = WeightedFusion(widths, target, dtype=dtype, execution=execution)
        others = [
            tf.cast(twins.maps(4, 3, 4, width, seed=i), dtype) for i, width in enumerate(widths)
        ]
        outputs = []
        for shown in (stem.present(ids), stem(ids)):
            place = widths.index(40)
            inputs = [shown if i == place else x for i, x in enumerate(others)]
            gates = [tf.sigmoid(x[:, 0, 0]) for x in others] if gated else []
            if not outputs:
                fusion([stem(ids) if i == place else x for i, x in enumerate(others)], gates)
                twins.randomise(fusion)
            outputs.append(tf.cast(fusion(inputs, gates), tf.float32).numpy())
        tolerance = 0.05 if folded == "bfloat16" else 1e-5
        np.testing.assert_allclose(*outputs, atol=tolerance * np.abs(outputs[0]).max())
        assert np.abs(outputs[0]).max() > 0.1


def operations(network: AssembleNet, clips: dict[str, tf.Tensor]) -> Counter[str]:
    """Counts the operations of each type in a forward pass; of present classes there is one Where."""
    traced = tf.function(lambda streams: network(streams, training=False))
    graph = traced.get_concrete_function(clips).graph
    return Counter(operation.type for operation in graph.get_operations())


@pytest.fixture(scope="module")
def model() -> AssembleNet:
    network = small.network(small.architecture(peers=True))
    twins.randomise(network)
    return network


def test_an_inference_network_leaves_absent_classes_out(model: AssembleNet) -> None:
    """Each node's output is the trained network's; a class that is not shown can't reach a product."""
    network, clips = inference_network(model, discrete=False), small.clips()
    expected, actual = model.endpoints(clips), network.endpoints(clips)
    assert expected.keys() == actual.keys()
    for node, x in expected.items():
        np.testing.assert_allclose(actual[node], x, atol=1e-4 * np.abs(x).max(), err_msg=node)
    clips["objects"] = np.full_like(clips["objects"], 1)
    stem = next(layer for layer in network.node_layers.values() if isinstance(layer, ObjectStem))
    lit, _ = stem.present(clips["objects"][0])
    assert lit.shape[-1] == 16
    assert operations(network, clips)["Where"] == 1
    assert operations(for_tflite(network), clips)["Where"] == 0


def test_other_clips_of_a_batch_change_nothing(model: AssembleNet) -> None:
    """A batch's channels are of all its clips' classes; each clip's logits stay as alone."""
    network, clips = inference_network(model, discrete=False), small.clips()
    clips["objects"] = np.stack([np.full_like(clips["objects"][0], i) for i in (1, 3)])
    both = small.logits(network, clips)
    for row in range(2):
        alone = small.logits(network, {name: x[row : row + 1] for name, x in clips.items()})
        np.testing.assert_allclose(alone[0], both[row], atol=1e-5)
    assert np.abs(both[0] - both[1]).max() > 1e-3
