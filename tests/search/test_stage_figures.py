"""Figures of a search by hand, and the table that a user sees."""

import dataclasses

import pytest

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.cost.connection_cost import connection_costs
from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.search.stage_figures import attention_figures, connection_figures, table
from tests.modeling import small

SETTING = Setting(frames=2, size=32, num_classes=5, num_object_classes=small.OBJECTS)


def test_what_attention_adds_is_the_difference_of_two_bills():
    graph = small.architecture(peers=True)
    figures = attention_figures(graph, SETTING)
    gated = estimate(graph, SETTING).total
    plain = estimate(graph, dataclasses.replace(SETTING, gate="none")).total
    assert (figures["flops_without"], figures["parameters_without"]) == (
        plain.flops,
        plain.parameters,
    )
    assert figures["added_flops_percent"] == pytest.approx(100 * (gated.flops / plain.flops - 1))
    assert figures["added_parameters_percent"] == pytest.approx(
        100 * (gated.parameters / plain.parameters - 1)
    )
    assert (figures["paper_flops_percent"], figures["paper_parameters_percent"]) == (0.151, 1.68)


def test_how_decided_a_network_is():
    graph = small.architecture()
    even = {3: 3, 4: 4, 5: 5, 6: 6}
    candidates = {3: 3, 4: 4, 5: 5, 6: 6}
    inputs = {i: len(graph.nodes[i].inputs) for i in even}
    peers = {i: ((1 / n,) * n,) * inputs[i] for i, n in candidates.items()}
    peers[6] = ((1.0,) + (0.0,) * 5,)  # one connection of eight has decided
    strengths = {3: (0.2, 0.9), 4: (0.5, 0.5, 0.5), 5: (0.5, 0.4)}
    figures = connection_figures(Learned(graph, strengths, peers), SETTING)
    assert figures["peer_entropy_share"] == pytest.approx(7 / 8)
    assert (figures["weakest_strength"], figures["strongest_strength"]) == (0.2, 0.9)
    expected = connection_costs(graph, SETTING).expected(graph, strengths, peers)
    assert figures["expected_cost_share"] == expected


def row(score, steps):
    return {
        "nodes": 15,
        "connections": 95,
        "parameters": 1234567,
        "flops": 2.5e9,
        "steps": steps,
        "score": score,
    }


def test_the_table_grows_with_the_stages():
    assert table({}) == ""
    stages = {"search": {"metric": "mAP", "one_shot": row(0.5, 500)}}
    header, first = table(stages).splitlines()
    assert header.split() == [
        "network",
        "nodes",
        "connections",
        "parameters",
        "GFLOPs",
        "steps",
        "mAP",
    ]
    assert first.split() == ["one-shot", "15", "95", "1,234,567", "2.500", "500", "0.5000"]
    stages["derive"] = {
        "derived": row(None, 500),
        "attention": {
            "added_flops_percent": 0.1234,
            "added_parameters_percent": 1.5,
            "paper_flops_percent": 0.151,
            "paper_parameters_percent": 1.68,
        },
    }
    stages["retrain"] = {
        "retrained": row(0.495, 100),
        "kept_score_percent": 99.0,
        "steps_percent": 20.0,
    }
    lines = table(stages).splitlines()
    assert [line.split()[-1] for line in lines[1:4]] == ["0.5000", "500", "0.4950"]
    assert lines[4] == (
        "retrained, it keeps 99.0 % of the one-shot network's mAP after 20.0 % of its steps"
    )
    assert "0.123 % of FLOPs and 1.50 % of parameters" in lines[5]
    assert "(A.2: 0.151 and 1.68)" in lines[5]
