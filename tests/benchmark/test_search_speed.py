"""The benchmark of a search's steps: which networks, and how much a bilevel step does."""

import dataclasses

import pytest

from official_vision.architecture.formats import read_architecture
from official_vision.benchmark.search_speed import measure_search, search_configs
from official_vision.modeling.builder import resolve_architecture
from official_vision.search.space import one_shot_space
from tests.training import runs


@pytest.fixture
def config(tmp_path):
    return runs.config(tmp_path, tmp_path / "run", runs.save_small(tmp_path), batch_size=2)


def test_the_steps_are_of_the_plain_and_the_searched_graph(config, tmp_path):
    graph = read_architecture(config.model.architecture)
    configs = search_configs(config, tmp_path)
    names = ["graph, no gates", "graph, peer gates", "one-shot, joint", "one-shot, bilevel"]
    assert list(configs) == names
    graphs = [resolve_architecture(settings.model) for settings in configs.values()]
    assert graphs[0] == graphs[1] == graph
    assert graphs[2] == graphs[3] == one_shot_space(graph)
    assert [settings.model.gate for settings in configs.values()] == [
        "none",
        "peer",
        "peer",
        "peer",
    ]
    updates = [settings.connectivity.updates for settings in configs.values()]
    assert updates == ["joint", "joint", "joint", "bilevel"]


def test_without_gates_there_is_one_graph(config, tmp_path):
    ungated = dataclasses.replace(config, model=dataclasses.replace(config.model, gate="none"))
    names = ["graph, no gates", "one-shot, joint", "one-shot, bilevel"]
    assert list(search_configs(ungated, tmp_path)) == names


@pytest.mark.slow
def test_a_bilevel_step_takes_two_batches_and_five_passes(config):
    ungated = dataclasses.replace(config, model=dataclasses.replace(config.model, gate="none"))
    result = measure_search(ungated, 1)
    joint, bilevel = result["rows"][1:]
    assert (joint["batch_size"], bilevel["batch_size"]) == (2, 4)
    assert bilevel["gflop"] == pytest.approx(joint["gflop"] * 5 / 3)
    assert result["what"] == "search"
    assert set(result["gemm_gflops"]) == {"float32"}
