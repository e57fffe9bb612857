"""Timed connections: which are timed, that figures are stored, and that larger ones cost more."""

import pytest

from official_vision import formats
from official_vision.architecture.cost.network_cost import Setting
from official_vision.architecture.zoo import assemblenet_50
from official_vision.errors import UserError
from official_vision.training.step.connection_latency import (
    LATENCY_FILE,
    connection_latencies,
    measure,
)
from tests.modeling import small

SETTING = Setting(frames=2, size=32, num_object_classes=small.OBJECTS)


def test_figures_are_of_every_connection_and_kept(tmp_path):
    graph = small.architecture()
    costs = connection_latencies(graph, SETTING, tmp_path)
    assert set(costs.maps) == set(graph.connections())
    assert all(seconds > 0 for seconds in costs.maps.values())
    assert costs.unit == "seconds"
    assert costs.full == pytest.approx(sum(costs.maps.values()))
    # A resumed run reads what the first one measured, whatever the machine does now.
    path = tmp_path / LATENCY_FILE
    rows = formats.LATENCIES.read(path)["connections"]
    rows[0]["seconds"] = 123.0
    formats.LATENCIES.write(path, {"connections": rows})
    again = connection_latencies(graph, SETTING, tmp_path)
    assert again.maps[rows[0]["source"], rows[0]["consumer"]] == 123.0
    assert {c: s for c, s in again.maps.items() if s != 123.0}.items() <= costs.maps.items()


def test_equal_connections_are_timed_once(tmp_path, monkeypatch):
    shapes = []

    def numbered(shape):
        shapes.append(shape)
        return float(len(shapes))

    monkeypatch.setattr("official_vision.training.step.connection_latency.measure", numbered)
    costs = connection_latencies(assemblenet_50(), SETTING, tmp_path)
    assert len(costs.maps) == 30
    assert len(shapes) == len(set(shapes)) == len(set(costs.maps.values())) < 30
    # Flow's two stems feed nodes 6 and 7 alike; node 0 reaches node 8 at half the resolution.
    assert costs.maps[2, 6] == costs.maps[3, 6] == costs.maps[2, 7]
    assert (2, 8, 32, 1, 0) in shapes
    assert (2, 8, 32, 1, 128) in shapes


def test_a_hundred_times_the_work_takes_longer():
    assert measure((16, 64, 64, 1, 64)) > 3 * measure((2, 16, 16, 1, 16))


def test_figures_of_another_network_are_refused(tmp_path):
    rows = [{"source": 0, "consumer": 9, "seconds": 1.0}]
    formats.LATENCIES.write(tmp_path / LATENCY_FILE, {"connections": rows})
    with pytest.raises(UserError, match=r"of others. Delete the file") as raised:
        connection_latencies(small.architecture(), SETTING, tmp_path)
    assert "\n" not in str(raised.value)
