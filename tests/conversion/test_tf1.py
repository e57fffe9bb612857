"""Checkpoints by names alone, as TensorFlow 1 wrote them, against a second implementation in its manner."""

import numpy as np
import pytest
import tensorflow as tf

from official_vision.conversion.authors.authors_checkpoint import convert
from official_vision.conversion.converted import Options
from official_vision.conversion.sources import source_of
from official_vision.errors import UserError
from official_vision.specs import ModelSpec
from tests.conversion import stored, tf1_network

# Two inputs of one width into a wider block, dilated kernels, a block that nothing reads, two last blocks.
ROWS = [
    *([-1, 2], [-1, 1]),
    [0, [0, 1], 1, 2, 1, 0],
    [1, [0, 1, 2], 2, 1, 2, 0],
    [2, [2], 2, 1, 2, 0],
    [3, [3], 1, 3, 2, 0],
    [3, [2, 3], 1, 1, 2, 0],
]


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(1).uniform(size=(2, 3, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module")
def plain(clips, tmp_path_factory):
    """AssembleNet's network with moving averages: prefix, structure, logits by weights and by averages."""
    folder = tmp_path_factory.mktemp("plain")
    network = tf1_network.Network(ROWS)
    logits = tf1_network.write(network, clips, str(folder / "model.ckpt-7"), averages=True)
    return str(folder / "model.ckpt-7"), stored.write_lists(folder / "lists.json", ROWS), *logits


def test_names_give_the_logits(plain, clips):
    prefix, structure, by_weights, by_averages = plain
    assert source_of(prefix) == "authors-tf1"
    converted = convert(prefix, Options(structure=structure))
    assert np.abs(stored.logits_of(converted.model, clips) - by_weights).max() < 1e-5
    assert (converted.spec.gate, converted.architecture.depth) == ("none", 26)
    # Nothing is dropped by this code: 2 inputs of one width are summed before their 1x1 convolution.
    assert not any("closed" in note for note in converted.coverage.notes)
    reasons = [entry.reason for entry in converted.coverage.skipped]
    assert reasons.count("state of the optimizer or the trainer") == 1  # global_step
    averaged = convert(prefix, Options(structure=structure, averaged=True))
    assert np.abs(stored.logits_of(averaged.model, clips) - by_averages).max() < 1e-5
    assert np.abs(by_weights - by_averages).max() > 0.1


def test_self_gates_and_maps_that_they_leave_unread(clips, tmp_path):
    network = tf1_network.Network(ROWS, attention="self", max_pool_predictions=True)
    prefix = str(tmp_path / "model.ckpt")
    expected, _ = tf1_network.write(network, clips, prefix)
    options = Options(
        spec=ModelSpec(frame_pooling="softmax_logits"),
        structure=stored.write_lists(tmp_path / "lists.json", ROWS),
    )
    converted = convert(prefix, options)
    assert converted.spec.gate == "self"
    assert np.abs(stored.logits_of(converted.model, clips) - expected).max() < 1e-5
    maps = "map of a candidate peer, which self gates don't read"
    skipped = [entry.name for entry in converted.coverage.skipped if entry.reason == maps]
    # Candidates of nodes 2 to 6 are 2, 3, 4, 5 and 5 nodes, each with kernel and bias.
    assert len(skipped) == 2 * (2 + 3 + 4 + 5 + 5)


def test_stems_that_no_block_reads_are_left_out(clips, tmp_path):
    """Their weights, and their maps as candidate peers, are passed over; later nodes have other numbers here."""
    moved = ([row[0], [source + (source > 0) for source in row[1]], *row[2:]] for row in ROWS[2:])
    rows = [[-1, 2], [-1, 3], [-1, 1], *moved]
    assert 1 not in {source for row in rows[3:] for source in row[1]}
    network = tf1_network.Network(rows, attention="self")
    prefix = str(tmp_path / "model.ckpt")
    expected, _ = tf1_network.write(network, clips, prefix)
    converted = convert(prefix, Options(structure=stored.write_lists(tmp_path / "l.json", rows)))
    assert np.abs(stored.logits_of(converted.model, clips) - expected).max() < 1e-5
    assert len(converted.architecture.nodes) == len(rows) - 1
    left_out = [
        entry for entry in converted.coverage.skipped if entry.reason.startswith("stem that no")
    ]
    assert {entry.name.split("/")[0] for entry in left_out} == {"Node_1"}
    assert "left out, since no block reads it: rgb stem 1" in converted.coverage.notes[-1]


def test_another_structure_is_refused_by_the_first_variable(plain, tmp_path):
    prefix, *_ = plain
    longer = [*ROWS[:4], [2, [2], 3, 1, 2, 0], *ROWS[5:]]
    structure = stored.write_lists(tmp_path / "lists.json", longer)
    with pytest.raises(UserError, match=r"Node_4/conv2d/kernel shaped .*, and .* in the structure"):
        convert(prefix, Options(structure=structure))


def test_peer_attention_is_refused_with_the_reason(tmp_path):
    """TensorFlow 1's code does store the weights of peers; their maps have no counterpart here."""
    names = ("conv2d/kernel", "dense/kernel", "Connection_64_0/peer_attention_weights")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name in names:
            tf.compat.v1.get_variable(
                f"Node_3/{name}", initializer=np.zeros((1, 1, 2, 2), np.float32)
            )
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(tmp_path / "m"), write_meta_graph=False)
    options = Options(structure=stored.write_lists(tmp_path / "lists.json", ROWS), depth=26)
    with pytest.raises(UserError, match="Peer attention cannot be converted exactly"):
        convert(str(tmp_path / "m"), options)
