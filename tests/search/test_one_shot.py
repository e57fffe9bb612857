"""A whole one-shot search on generated scenes: its stages, records, resuming and refusals."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from official_vision.architecture.cost.network_cost import estimate
from official_vision.architecture.formats import read_architecture
from official_vision.errors import UserError
from official_vision.modeling.inference.discretise import to_discrete
from official_vision.search import one_shot as module
from official_vision.search.one_shot import one_shot, retrain_config, search_config
from official_vision.specs import ConnectivitySpec, SearchSpec
from official_vision.training import clip_scoring as evaluate
from official_vision.training.checkpoints.learned_connectivity import learned_connectivity
from official_vision.training.cost_setting import setting_of
from official_vision.training.settings_from_data import settle
from tests.training import runs


def settings_of(data, graph, output, **search):
    config = runs.config(data, "elsewhere", graph, steps=8, validation_interval=8)
    return dataclasses.replace(
        config,
        architecture_optimizer=dataclasses.replace(
            config.optimizer, name="adam", learning_rate=0.2
        ),
        connectivity=ConnectivitySpec(
            peer_entropy_weight=0.1, strength_entropy_weight=0.2, cost_weight=0.1
        ),
        search=SearchSpec(
            output=str(output),
            **{"keep_share": 0.8, "curve_shares": (0.8, 0.3), "retrain_steps": 4} | search,
        ),
    )


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of three stages: its configuration, folder and the lines that it printed."""
    folder = tmp_path_factory.mktemp("search")
    config = settings_of(
        runs.write_data(folder / "data"),
        runs.save_small(folder, streams=("rgb", "flow")),
        folder / "search",
    )
    lines = []
    one_shot(config, note=lines.append)
    return config, folder / "search", lines


def record_of(folder):
    return json.loads((folder / "search.json").read_text())


def figures(trained):
    return evaluate.score_clips(trained).pooled(trained.config.evaluation).evaluation().figures


@pytest.mark.slow
def test_the_record_has_what_the_folders_have(searched):
    config, folder, lines = searched
    record = record_of(folder)
    stages = record["stages"]
    assert list(stages) == ["search", "derive", "retrain"]
    assert record["config"] == settle(config).to_dict()
    space, derived = (read_architecture(folder / f"{n}.json") for n in ("space", "derived"))
    setting = setting_of(config.model, config.validation_data)
    for row, graph, steps in (
        (stages["search"]["one_shot"], space, 8),
        (stages["derive"]["derived"], derived, 8),
        (stages["retrain"]["retrained"], derived, 4),
    ):
        assert row["flops"] == estimate(graph, setting).total.flops
        assert row["parameters"] == estimate(graph, setting).total.parameters
        assert row["connections"] == len(list(graph.connections()))
        assert row["steps"] == steps
    # Evaluated anew, from the checkpoints.
    latest = evaluate.load_trained(folder / "search", "latest")
    assert stages["search"]["one_shot"]["score"] == pytest.approx(figures(latest)["mAP"])
    last = evaluate.load_trained(folder / "retrain", "latest")
    assert stages["retrain"]["retrained"]["score"] == pytest.approx(figures(last)["mAP"])
    percent = 100 * figures(last)["mAP"] / figures(latest)["mAP"]
    assert stages["retrain"]["kept_score_percent"] == pytest.approx(percent)
    assert stages["retrain"]["steps_percent"] == 50
    assert "retrained" in lines[-1]
    assert f"{stages['retrain']['retrained']['score']:.4f}" in lines[-1]


@pytest.mark.slow
def test_the_derived_network_is_what_was_learned(searched):
    config, folder, _ = searched
    stages = record_of(folder)["stages"]
    learned = learned_connectivity(folder / "search", "latest")
    expected = learned.derive(stages["derive"]["threshold"]).architecture
    derived = read_architecture(folder / "derived.json")
    for node, other in zip(derived.nodes, expected.nodes, strict=True):
        assert (node.inputs, getattr(node, "peers", None)) == (
            other.inputs,
            getattr(other, "peers", None),
        )
    strengths = sorted((s for row in learned.strengths.values() for s in row), reverse=True)
    assert len(strengths) == 5
    assert stages["derive"]["threshold"] == pytest.approx(strengths[3])  # ceil(0.8 * 5) stay
    same, fewer = stages["derive"]["curve"]
    assert {**stages["derive"]["derived"], **same} == {**same, **stages["derive"]["derived"]}
    smaller = learned.derive(strengths[1]).architecture  # ceil(0.3 * 5)
    assert fewer["connections"] == len(list(smaller.connections())) < same["connections"]
    # Two pruned networks may rank so few clips alike; each must have the score that its weights give.
    trained = evaluate.load_trained(folder / "search", config.search.checkpoint)
    for point, strength in ((same, strengths[3]), (fewer, strengths[1])):
        pruned = dataclasses.replace(trained, model=to_discrete(trained.model, strength))
        assert point["score"] == pytest.approx(figures(pruned)[config.train.best_metric], abs=1e-9)
    assert derived.provenance["learned"]["updates"] == "joint"
    assert derived.provenance["learned"]["mAP"] == stages["search"]["one_shot"]["score"]
    assert derived.provenance["space"]["candidates"] == "all"


@pytest.mark.slow
def test_retraining_begins_with_the_inherited_weights(searched):
    config, folder, _ = searched
    reader = tf.train.load_checkpoint(str(folder / "derived" / "weights"))
    keys = [k for k in reader.get_variable_to_shape_map() if k.startswith("model/head")]
    assert keys
    one_shot_weights = runs.weights(tf.train.latest_checkpoint(str(folder / "search")))
    for key in keys:
        np.testing.assert_array_equal(reader.get_tensor(key), one_shot_weights[key])
    log = retrain_config(config).train
    assert log.init_checkpoint == str(folder / "derived" / "weights")


@pytest.mark.slow
def test_what_is_done_is_not_done_again(searched, monkeypatch):
    config, folder, _ = searched
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def refuse(*_):
        raise AssertionError("nothing is left to do")

    monkeypatch.setattr(module, "train", refuse)
    monkeypatch.setattr(module, "load_trained", refuse)
    one_shot(config, note=lambda _: None)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_settings_that_do_not_fit_what_is_there_are_refused(searched):
    config, folder, _ = searched
    contents = {path: path.read_bytes() for path in folder.glob("*.json")}

    def change(**search):
        return dataclasses.replace(config, search=dataclasses.replace(config.search, **search))

    with pytest.raises(UserError, match="among others"):
        one_shot(change(candidates="own"), "search", lambda _: None)
    one_shot(change(keep_share=0.2), "derive", lambda _: None)
    assert list(record_of(folder)["stages"]) == ["search", "derive"]
    with pytest.raises(UserError, match="the network of another derivation"):
        one_shot(change(keep_share=0.2), "retrain", lambda _: None)
    with pytest.raises(UserError, match=r"SearchSpec.threshold must leave connections"):
        one_shot(change(keep_share=None, threshold=1.0), "derive", lambda _: None)
    for path, content in contents.items():
        path.write_bytes(content)


def test_stages_have_separate_settings(tmp_path):
    config = settings_of(
        tmp_path, "small", tmp_path, retrain_learning_rate=0.003, retrain_warmup_steps=2
    )
    searching, retraining = search_config(config), retrain_config(config)
    assert searching.model.architecture == str(tmp_path / "space.json")
    assert searching.train.model_dir == str(tmp_path / "search")
    assert searching.connectivity == config.connectivity
    assert retraining.model.architecture == str(tmp_path / "derived.json")
    assert (retraining.train.steps, retraining.train.model_dir) == (4, str(tmp_path / "retrain"))
    assert retraining.connectivity == ConnectivitySpec()
    assert retraining.optimizer.learning_rate == 0.003
    assert retraining.architecture_optimizer.learning_rate == pytest.approx(0.2 * 0.003 / 0.05)
    assert retraining.optimizer.warmup_steps == retraining.architecture_optimizer.warmup_steps == 2
    plain = dataclasses.replace(config, architecture_optimizer=None)
    assert retrain_config(plain).architecture_optimizer == retrain_config(plain).optimizer
    fresh = dataclasses.replace(
        config,
        search=dataclasses.replace(config.search, retrain_weights="fresh"),
        train=dataclasses.replace(config.train, init_checkpoint="pretrained"),
    )
    assert retrain_config(fresh).train.init_checkpoint == "pretrained"
    taught = dataclasses.replace(config.search, retrain_teacher=True, retrain_width=0.5)
    narrow = retrain_config(dataclasses.replace(config, search=taught))
    assert narrow.loss.teacher == str(tmp_path / "search")
    assert (narrow.model.width_multiplier, narrow.train.init_checkpoint) == (0.5, "")
    assert (retraining.loss.teacher, retraining.model.width_multiplier) == ("", None)


@pytest.mark.parametrize(
    ("stage", "search", "words"),
    [
        ("serch", {}, "Did you mean 'search'?"),
        ("all", {"output": ""}, "SearchSpec.output must be set"),
        ("derive", {}, "Run --stage=search first"),
        ("retrain", {}, "Run --stage=derive first"),
    ],
)
def test_mistakes_are_one_line(tmp_path, stage, search, words):
    config = settings_of(tmp_path, "small", tmp_path / "search")
    config = dataclasses.replace(config, search=dataclasses.replace(config.search, **search))
    with pytest.raises(UserError, match=words.replace("?", r"\?")) as raised:
        one_shot(config, stage, lambda _: None)
    assert "Received:" in str(raised.value)
    assert "\n" not in str(raised.value)
