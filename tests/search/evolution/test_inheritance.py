"""A changed graph begins with its parent's weights, under the child's numbers of nodes and inputs."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.search.evolution.inheritance import count_inherited, write_inherited
from official_vision.training.checkpoints.restore import load_weights
from tests.modeling import small

PARENT = Architecture(
    "parent",
    (
        Stem("rgb", 4),
        Stem("flow", 4),
        Block(1, (0, 1), 4),
        Block(2, (0, 1, 2), 4, 1, 2),
        Block(3, (2, 3), 4, 1, 2),
    ),
    depth=26,
)
SAME = {index: index for index in range(5)}


def _inherited(tmp_path, child, origin, gate="peer"):
    """Parent, child as it begins, and the child as it would have begun without a parent."""
    parent = small.network(PARENT, seed=1, gate=gate)
    written = tf.train.Checkpoint(model=parent, step=tf.Variable(7)).write(str(tmp_path / "parent"))
    write_inherited(written, PARENT, child, origin, tmp_path / "inherited")
    inherited, fresh = (small.network(child, seed=2, gate=gate) for _ in range(2))
    load_weights(inherited, str(tmp_path / "inherited"))
    return parent, inherited, fresh


def _weights(layer):
    return [variable.numpy() for variable in layer.variables]


def _all_equal(first, second):
    return all(
        one.shape == other.shape and (one == other).all()
        for one, other in zip(_weights(first), _weights(second), strict=True)
    )


@pytest.mark.parametrize("gate", ["none", "peer"])
def test_an_equal_graph_computes_the_same(tmp_path, gate):
    parent, child, fresh = _inherited(tmp_path, PARENT, SAME, gate)
    features = small.clips()
    expected = small.logits(parent, features)
    np.testing.assert_array_equal(small.logits(child, features), expected)
    assert np.abs(small.logits(fresh, features) - expected).max() > 0.1


def test_other_dilations_keep_every_weight(tmp_path):
    nodes = [dataclasses.replace(n, temporal_dilation=4) for n in PARENT.nodes]
    parent, child, _ = _inherited(tmp_path, dataclasses.replace(PARENT, nodes=tuple(nodes)), SAME)
    assert _all_equal(parent, child)


def test_strengths_and_gates_go_with_their_connections(tmp_path):
    """Block 3 loses its first input and takes a new one: what is left moves up a place."""
    child = dataclasses.replace(
        PARENT, nodes=(*PARENT.nodes[:3], Block(2, (1, 2), 4, 1, 2), Block(3, (1, 2, 3), 4, 1, 2))
    )
    parent, inherited, fresh = _inherited(tmp_path, child, SAME)
    old, new = parent.blocks(), inherited.blocks()
    np.testing.assert_array_equal(
        new[3].fusion.strength_logits, old[3].fusion.strength_logits.numpy()[1:]
    )
    for position in (0, 1):
        assert _all_equal(new[3].gates[position], old[3].gates[position + 1])
    np.testing.assert_array_equal(
        new[4].fusion.strength_logits, [0, *old[4].fusion.strength_logits.numpy()]
    )
    assert _all_equal(new[4].gates[1], old[4].gates[0])
    assert _all_equal(new[4].gates[2], old[4].gates[1])
    assert _all_equal(new[4].gates[0], fresh.blocks()[4].gates[0])  # a new connection's
    for index in (3, 4):
        for own_module, module in zip(new[index].modules, old[index].modules, strict=True):
            assert _all_equal(own_module, module)


def test_a_split_block_gives_its_twin_what_fits_and_the_later_nodes_everything(tmp_path):
    """Node 2 becomes nodes 2 and 3 of half its width."""
    child = Architecture(
        "child",
        (
            *PARENT.nodes[:2],
            Block(1, (0, 1), 2),
            Block(1, (0, 1), 2),
            Block(2, (0, 1, 2, 3), 4, 1, 2),
            Block(3, (2, 3, 4), 4, 1, 2),
        ),
        depth=26,
    )
    origin = {0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 5: 4}
    parent, inherited, fresh = _inherited(tmp_path, child, origin, "none")
    old, new, begun = parent.blocks(), inherited.blocks(), fresh.blocks()
    for twin in (2, 3):
        np.testing.assert_array_equal(
            new[twin].fusion.strength_logits, old[2].fusion.strength_logits
        )
        # Convolutions of half the width have other shapes: they begin as any network's do.
        last = new[twin].modules[1].last.kernel
        assert last.shape != old[2].modules[1].last.kernel.shape
        np.testing.assert_array_equal(last, begun[twin].modules[1].last.kernel)
    logits = old[3].fusion.strength_logits.numpy()
    np.testing.assert_array_equal(new[4].fusion.strength_logits, [*logits, logits[2]])
    assert _all_equal(new[4].modules[1], old[3].modules[1])  # the first takes narrower inputs now
    assert _all_equal(inherited.head, parent.head)


def test_the_count_is_of_weights_of_equal_shape(tmp_path):
    parent = small.network(PARENT, gate="none")
    path = tf.train.Checkpoint(model=parent).write(str(tmp_path / "parent"))
    nodes = (*PARENT.nodes[:4], dataclasses.replace(PARENT.nodes[4], channels=8))
    child = dataclasses.replace(PARENT, nodes=nodes)
    write_inherited(path, PARENT, child, SAME, tmp_path / "inherited")
    network = small.network(child, gate="none")
    trained = tf.train.Checkpoint(model=network).write(str(tmp_path / "child"))
    shapes = {variable.name.split("/", 1)[1]: variable.shape for variable in parent.variables}
    expected = sum(
        shapes.get(variable.name.split("/", 1)[1]) == variable.shape
        for variable in network.variables
    )
    assert count_inherited(str(tmp_path / "inherited"), trained) == expected
    assert 0 < expected < len(network.variables)
