"""One graph of an evolution: its folder, its resumption, and the files that stay."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_vision import files
from official_vision.architecture.cost.network_cost import estimate
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.search.evolution.child import (
    child_config,
    evaluate,
    folder_of,
    forget_weights,
    strengths_of_all,
)
from official_vision.search.evolution.evolve import Candidate
from official_vision.specs import SearchSpec
from official_vision.training import clip_scoring as evaluation
from official_vision.training.checkpoints.learned_connectivity import learned_connectivity
from official_vision.training.checkpoints.restore import COUNT_KEY
from official_vision.training.cost_setting import setting_of
from tests.training import runs

GRAPH = runs.architecture(streams=("rgb", "flow"))
PARENT = Candidate(0, GRAPH, None, {}, {"kind": "first population"})
CHILD = Candidate(
    1,
    dataclasses.replace(
        GRAPH,
        nodes=tuple(dataclasses.replace(node, temporal_dilation=2) for node in GRAPH.nodes),
    ),
    0,
    {index: index for index in range(4)},
    {"kind": "dilation"},
)


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A configuration, and what became of a graph and of its child.

    A kill has left the child's folder without its graph: it is made anew.
    """
    folder = tmp_path_factory.mktemp("evolution")
    config = runs.config(
        runs.write_data(folder / "data"), "elsewhere", "small", steps=4, validation_interval=4
    )
    config = dataclasses.replace(
        config, search=SearchSpec(method="evolution", output=str(folder / "evolution"))
    )
    killed = folder_of(config.search.output, CHILD.id)
    killed.mkdir(parents=True)
    (killed / "inherited.index").write_text("half")
    (killed / "left").touch()
    return config, evaluate(config, PARENT), evaluate(config, CHILD)


@pytest.mark.slow
def test_the_outcome_is_what_the_checkpoint_holds(family):
    config, *outcomes = family
    for candidate, outcome in zip((PARENT, CHILD), outcomes, strict=True):
        folder = folder_of(config.search.output, candidate.id)
        trained = evaluation.load_trained(folder, "latest")
        scores = evaluation.score_clips(trained).pooled(trained.config.evaluation)
        assert outcome.figure == pytest.approx(scores.evaluation().figures["mAP"])
        cost = estimate(
            candidate.architecture, setting_of(config.model, config.validation_data)
        ).total
        assert (outcome.flops, outcome.parameters) == (cost.flops, cost.parameters)
        assert outcome.parameters == trained.model.count_params()
        assert outcome.strengths == learned_connectivity(folder, "latest").strengths
        assert outcome.seconds > 0
    assert outcomes[0].inherited == 0


def test_a_blocks_only_input_is_as_strong_as_can_be():
    graph = Architecture("g", (Stem("rgb", 4), Block(1, (0,), 4), Block(2, (0, 1), 8, 1, 2)))
    assert strengths_of_all(graph, {2: (0.25, 0.75)}) == {1: (1.0,), 2: (0.25, 0.75)}


@pytest.mark.slow
def test_a_child_begins_where_its_parent_ended(family):
    config, _, outcome = family
    parent, child = (folder_of(config.search.output, number) for number in (0, 1))
    ended = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(parent)))
    began = tf.train.load_checkpoint(child_config(config, CHILD).train.init_checkpoint)
    keys = [k for k in ended.get_variable_to_shape_map() if k.startswith("model/")]
    keys = [k for k in keys if ".OPTIMIZER_SLOT" not in k and k.endswith("VARIABLE_VALUE")]
    weights = [key for key in keys if key != COUNT_KEY]
    assert outcome.inherited == len(weights) > 50
    for key in keys:
        np.testing.assert_array_equal(began.get_tensor(key), ended.get_tensor(key))
    assert not (child / "left").exists()
    log = (child / "output.log").read_text()
    assert f"initialised {len(weights)} of {len(weights)} weights" in log


@pytest.mark.slow
def test_what_is_done_is_not_trained_again(family, monkeypatch):
    config, _, outcome = family
    monkeypatch.setattr("official_vision.training.run.train", None)
    again = evaluate(config, CHILD)
    assert dataclasses.replace(again, seconds=outcome.seconds) == outcome


@pytest.mark.slow
def test_forgotten_weights_leave_figures_and_log(family):
    config, *_ = family
    folder = folder_of(config.search.output, 0)
    before = {path.name for path in folder.iterdir()}
    forget_weights(config.search.output, 0)
    gone = before - {path.name for path in folder.iterdir()}
    assert {"checkpoint", "best"} <= gone
    assert not [*folder.rglob("*.index"), *folder.rglob("*.data-*")]
    assert files.read_json(folder / "result.json")["step"] == 4
    assert (folder / "output.log").is_file()
