"""Checkpoints that the authors' port wrote give its logits here: see stored.py."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.formats import save_architecture
from official_vision.conversion.authors.authors_checkpoint import convert
from official_vision.conversion.converted import Options
from official_vision.conversion.sources import source_of
from official_vision.specs import ModelSpec
from tests.conversion import stored

TOLERANCE = 1e-5


def io_of(name):
    return np.load(stored.DATA / name / "io.npz")


def largest_difference(converted, name, key="y"):
    io = io_of(name)
    return np.abs(stored.logits_of(converted.model, io["x"]) - io[key]).max()


@pytest.fixture(scope="module")
def plus_self(tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "structure.json"
    structure = stored.write_lists(path, stored.structure_50())
    return convert(stored.prefix("plus_self_50"), Options(structure=structure))


@pytest.fixture(scope="module")
def v1():
    return convert(stored.prefix("v1_26"), Options())


def test_formats_are_recognised():
    for name in ("plus_self_50", "v1_26", "plus_26"):
        assert source_of(stored.prefix(name)) == "authors-tf2"


def test_self_gates_and_computed_flow_give_the_port_s_logits(plus_self):
    """The flow's grey scale is stretched over both clips, as the port does."""
    assert largest_difference(plus_self, "plus_self_50") < TOLERANCE
    assert (plus_self.architecture.depth, plus_self.architecture.width_multiplier) == (50, 1 / 8)
    assert (plus_self.spec.gate, plus_self.spec.frame_pooling) == ("self", "mean")
    assert (plus_self.spec.num_classes, plus_self.spec.flow_source) == (11, "computed")
    coverage = plus_self.coverage
    assert coverage.share("loaded") == 1
    assert {entry.reason for entry in coverage.skipped} == {"constant of the computed flow"}
    # Counted by hand from the shapes: 3 stems, 5 blocks, a classifier of 128 x 11.
    assert coverage.by_node()["head"]["loaded"] == 128 * 11 + 11
    assert coverage.by_node()["node_00"]["loaded"] == 7 * 7 * 3 * 42 + 5 * 42 * 42 + 8 * 42


def test_several_last_blocks_and_one_that_nothing_reads(v1):
    assert largest_difference(v1, "v1_26") < TOLERANCE
    assert (v1.spec.gate, v1.spec.activation) == ("none", "softmax")
    dead = "node that reaches no output, which is not built here"
    skipped = [entry.name for entry in v1.coverage.skipped if entry.reason == dead]
    # Node 11: 2 modules of 3 convolutions and a projection, each with 4 variables of its norm.
    assert len(skipped) == 7 * 5
    nodes = [f"node_{node:02d}" for node in range(15) if node != 11]
    assert list(v1.coverage.by_node()) == [*nodes, "head"]


def test_moving_averages_are_taken_by_choice(v1):
    averaged = convert(stored.prefix("v1_26"), Options(averaged=True))
    assert largest_difference(averaged, "v1_26", "ema") < TOLERANCE
    assert np.abs(io_of("v1_26")["ema"] - io_of("v1_26")["y"]).max() > 0.5
    # Moving statistics of norms have no averages: both networks have the same.
    for variable, other in zip(v1.model.weights, averaged.model.weights, strict=True):
        same = bool(np.array_equal(variable, other))
        assert same == ("moving_" in variable.name), variable.name


def test_connections_that_the_port_drops_are_closed_and_named():
    converted = convert(stored.prefix("plus_26"), Options())
    assert largest_difference(converted, "plus_26") < TOLERANCE
    assert (converted.spec.gate, converted.spec.frame_pooling) == ("self", "softmax_logits")
    assert [note.rsplit(" ", 3)[1:] for note in converted.coverage.notes] == [
        ["9", "->", "10"],
        ["9", "->", "12"],
    ]
    strengths = converted.model.blocks()[12].fusion.learned_strengths().numpy()
    key = "backbone/layer_with_weights-81/agg_weights/.ATTRIBUTES/VARIABLE_VALUE"
    logits = tf.train.load_checkpoint(stored.prefix("plus_26")).get_tensor(key)
    np.testing.assert_allclose(strengths, [1, 0, 1] / (1 + np.exp(-logits)), rtol=1e-6, atol=1e-30)
    initial = [entry.variable for entry in converted.coverage.weights if entry.status == "initial"]
    assert initial == [
        f"node_{node}/gate_9_{node}/dense/{name}"
        for node in (10, 12)
        for name in ("kernel", "bias")
    ]


def test_another_number_of_classes_starts_a_new_classifier(v1):
    labels = ("a", "b", "c")
    converted = convert(stored.prefix("v1_26"), Options(num_classes=3, labels=labels))
    assert converted.spec.num_classes == 3
    assert converted.labels == labels
    head = [entry for entry in converted.coverage.weights if entry.node == "head"]
    assert {(entry.status, entry.reason) for entry in head} == {
        ("initial", "classifier of another number of classes")
    }
    skipped = {entry.name: entry.shape for entry in converted.coverage.skipped}
    assert skipped["dense/kernel"] == (8, 5)
    np.testing.assert_array_equal(v1.model.weights[0], converted.model.weights[0])


def test_the_structure_can_be_lists_or_an_architecture_file(v1, tmp_path):
    prefix = stored.copy("v1_26", tmp_path)
    named = {"structure": stored.ROWS, "edge_weights": []}
    (tmp_path / "named.json").write_text(json.dumps(named))
    # What their code computes whatever the graph is set in spite of the file.
    other = dataclasses.replace(v1.architecture, rgb_pool_size=2, convolution_padding="same")
    save_architecture(other, tmp_path / "architecture.json")
    for name in ("named.json", "architecture.json"):
        converted = convert(prefix, Options(structure=str(tmp_path / name)))
        assert converted.architecture.nodes == v1.architecture.nodes
        assert largest_difference(converted, "v1_26") < TOLERANCE


def test_settings_of_the_user_are_combined_with_the_checkpoint_s(tmp_path):
    prefix = stored.copy("v1_26", tmp_path)
    spec = ModelSpec(gate="none", dropout_rate=0.2, frame_pooling="softmax")
    structure = stored.write_lists(tmp_path / "lists.json", stored.ROWS)
    converted = convert(prefix, Options(spec=spec, structure=structure))
    assert (converted.spec.dropout_rate, converted.spec.frame_pooling) == (0.2, "softmax")
    new = {
        entry.variable: entry.reason
        for entry in converted.coverage.weights
        if entry.status == "initial"
    }
    assert new == dict.fromkeys(
        ("head/attention/kernel", "head/attention/bias"), "not in the authors' network"
    )
