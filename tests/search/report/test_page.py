"""The page's numbers, without a browser: against the files that they come from and numpy."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from official_vision.architecture.cost.connection_cost import connection_costs
from official_vision.architecture.cost.network_cost import estimate
from official_vision.errors import UserError
from official_vision.search.report import write_report
from official_vision.search.report.page import describe, page_of
from official_vision.training.cost_setting import setting_of
from tests.search.report import folders
from tests.training import runs


def embedded(path):
    (text,) = re.findall(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    records = folders.write_run(folder)
    return folder, records, embedded(write_report(folder))


def test_strengths_peers_and_entropy_are_those_of_the_run(run):
    _, records, data = run
    moments = data["network"]["timeline"]
    assert moments["steps"] == list(folders.STEPS)
    for moment, record in enumerate(records):
        strengths = [value for row in record.strengths.values() for value in row]
        np.testing.assert_allclose(moments["strengths"][moment], strengths, atol=1e-4)
        rows = [row for rows in record.peer_distributions.values() for row in rows]
        shares = []
        for shown, row in zip(moments["peers"][moment], rows, strict=True):
            np.testing.assert_allclose(shown, row, atol=1e-4)
            shares.append(-np.sum(row * np.log(row)) / np.log(len(row)))
        np.testing.assert_allclose(moments["entropy"][moment], shares, atol=1e-3)
        assert moments["mean_entropy"][moment] == pytest.approx(np.mean(shares), abs=1e-3)
    assert moments["candidates"] == [[0, 1, 2]] * 3 + [[0, 1, 2, 3]] * 2


def test_costs_are_those_of_the_cost_model(run):
    folder, records, data = run
    config = folders.settings(folder)
    setting = setting_of(config.model, config.validation_data)
    graph = records[0].architecture
    costs, whole = connection_costs(graph, setting), estimate(graph, setting).total
    shown = data["costs"]
    assert shown["whole"] == whole.flops + whole.elementwise
    for connection, entry in zip(graph.connections(), shown["connections"], strict=True):
        assert entry["map"] == round(costs.maps[connection])
        np.testing.assert_allclose(entry["gates"], costs.gates[connection], atol=0.5)
    assert data["pruning"]["points"][-1]["threshold"] == pytest.approx(
        max(max(row) for row in records[-1].strengths.values()), abs=1e-5
    )


def test_kept_connections_at_each_threshold(run):
    _, records, data = run
    points = data["pruning"]["points"]
    for point in points:
        derived = records[-1].derive(point["threshold"]).architecture
        assert point["connections"] == len(list(derived.connections()))
    assert points[0]["connections"] == 5
    assert min(point["connections"] for point in points) < 5
    assert data["pruning"]["measured"] == []
    assert any("Accuracy against kept" in text for text in data["missing"])


def test_every_peer_that_was_ever_the_likeliest_has_a_line(run):
    _, records, data = run
    wanted = {
        (number, int(np.argmax(row)))
        for record in records
        for number, row in enumerate(
            row for rows in record.peer_distributions.values() for row in rows
        )
    }
    drawn = {(gate["connection"], gate["peer"]) for gate in data["network"]["drawing"]["gates"]}
    assert drawn == wanted


def test_the_curves_are_the_history(run):
    curves = run[2]["curves"]
    assert curves["loss"] == [[10, 0.1], [20, 0.05]]
    assert curves["figures"]["mAP"] == [[10, 0.25], [20, 0.5]]


def test_a_search_shows_what_it_measured_and_derived(tmp_path):
    derived = folders.write_search(tmp_path / "search")
    data = embedded(write_report(tmp_path / "search"))
    count = len(list(derived.connections()))
    measured = data["pruning"]["measured"]
    assert [(row["connections"], row["score"]) for row in measured] == [
        (5, 0.75),
        (count, None),
        (count, 0.7),
        (count - 1, 0.3),
    ]
    (entry,) = data["derived"]["entries"]
    assert entry["figures"]["connections"] == count == len(entry["drawing"]["connections"])
    former = derived.provenance["derived"]["kept_nodes"]
    for node, old in zip(entry["drawing"]["nodes"], former, strict=True):
        assert (f"was node {old}" in node["details"]) == (old != node["index"])
    assert data["derived"]["published"]["figures"]["connections"] == 46
    assert ["Retrained", "93.3 % of the score in 20.0 % steps"] in data["facts"]
    assert data["missing"] == []


def test_a_run_that_has_just_begun(tmp_path):
    folders.write_run(tmp_path / "run")
    for name in ("learned.jsonl", "history.jsonl"):
        (tmp_path / "run" / name).unlink()
    data = embedded(write_report(tmp_path / "run"))
    assert data["network"]["timeline"] is None
    assert data["curves"] is None
    assert len(data["missing"]) == 2
    assert "pruning" not in data


def test_long_runs_are_thinned_from_the_first_to_the_last_moment(tmp_path):
    folders.write_run(tmp_path / "run", steps=range(2000))
    steps = describe(tmp_path / "run")["network"]["timeline"]["steps"]
    assert len(steps) == 240
    assert (steps[0], steps[-1]) == (0, 1999)
    assert set(np.diff(steps)) <= {8, 9}


def test_the_page_requests_nothing_and_no_text_becomes_markup(run):
    report = {**run[2], "facts": [["<b>", "</script><script>alert(1)</script>"]]}
    page = page_of("<img src=x> @data@", report)
    assert page.count("<script") == 2
    assert page.count("</script>") == 2
    assert "<title>&lt;img src=x&gt; @data@</title>" in page
    addresses = set(re.findall(r"https?://[^\"'\s]+", page))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG's elements
    assert not re.search(r"\b(src|href)=\"(?!data:)", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("damage", ["missing", "another network", "no line of ours"])
def test_folders_that_are_none_of_ours(tmp_path, damage):
    folder = tmp_path / "run"
    folder.mkdir()
    if damage != "missing":
        shutil.rmtree(folder)
        folders.write_run(folder)
        record = {"step": 30, "strengths": {"4": [0.5]}, "peers": {}}
        line = record if damage == "another network" else {"step": 30}
        with open(folder / "learned.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=r"Received: .*run") as error:
        write_report(folder)
    assert "\n" not in str(error.value)
    assert not (folder / "report.html").exists()


def test_a_small_network_in_pixels():
    from official_vision.search.report.drawing import draw_network

    drawing = draw_network(runs.architecture(), {3: (0.1, 0.5, 0.9)})
    assert [one["strength"] for one in drawing["connections"]] == [0.1, 0.5, 0.9, None, None]
    for node in drawing["nodes"]:
        assert 0 <= node["x"] < node["x"] + node["width"] <= drawing["width"]
        assert 0 <= node["y"] < node["y"] + node["height"] <= drawing["height"]
    for one in drawing["connections"]:
        numbers = [float(text) for text in re.findall(r"[\d.]+", one["path"])]
        source, consumer = drawing["nodes"][one["source"]], drawing["nodes"][one["consumer"]]
        assert numbers[0] == pytest.approx(source["x"] + source["width"], abs=0.2)
        assert numbers[-2] == pytest.approx(consumer["x"], abs=0.2)
        assert consumer["y"] < numbers[-1] < consumer["y"] + consumer["height"]
