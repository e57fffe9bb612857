"""The report: its numbers add up, its columns line up, and it reports what is unusual."""

import dataclasses
import json
import re

import pytest

from official_vision.architecture.connections.connectivity import Learned
from official_vision.architecture.cost.gate_overhead import peer_overheads
from official_vision.architecture.cost.network_cost import Setting, estimate
from official_vision.architecture.cost.network_report import describe, to_dict
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.zoo import (
    assemblenet_50,
    assemblenet_plus_plus_50,
    assemblenet_plus_plus_lite,
)

SETTING = Setting(frames=16, flow_source="computed")


def rows(text):
    """Lines of the table of nodes, without its headings."""
    table = text.split("\n\n")[1]
    return table.splitlines()[1:]


def test_the_numbers_of_the_table_add_up():
    cost = estimate(assemblenet_plus_plus_50(), SETTING)
    text = describe(cost)
    amounts = [re.search(r" ([\d,]+) +([\d.]+) +([\d.]+) +([\d.]+)%", line) for line in rows(text)]
    assert len(amounts) == 15 + 2
    assert sum(int(row[1].replace(",", "")) for row in amounts) == cost.total.parameters
    operations = (cost.total.flops + cost.total.elementwise) / 1e9
    assert abs(sum(float(row[2]) for row in amounts) - cost.total.flops / 1e9) < 0.02
    assert abs(sum(float(row[3]) for row in amounts) - operations) < 0.02
    assert abs(sum(float(row[4]) for row in amounts) - 100) < 1
    # The numbers that searches, their reports and --json have, under the same words.
    total = to_dict(cost)["total"]
    assert f"total: {total['parameters']:,} parameters" in text
    assert f"{total['flops'] / 1e9:.3f} GFLOPs per clip" in text


def test_a_row_describes_the_block():
    text = describe(estimate(assemblenet_50(), dataclasses.replace(SETTING, gate="none")))
    (row,) = (line for line in rows(text) if line.startswith("  13 "))
    assert "C 256 dilation 4 stride 2" in row
    assert "16 x 14 x 14 x 1024" in row
    assert row.endswith("8 (0.50), 9 (0.89)")
    assert "flow from rgb" in text
    assert "C 152-152-68" in describe(estimate(assemblenet_plus_plus_lite(), SETTING))


def test_several_outputs_are_named_beside_the_classifier():
    graph = Architecture("two", (Stem("rgb", 8), Block(1, (0,), 4), Block(1, (0, 1), 4)))
    cost = estimate(graph, SETTING)
    assert rows(describe(cost))[-1].split()[0] == "classifier"
    assert rows(describe(cost))[-1].endswith("  mean of 1, 2")
    assert to_dict(cost)["outputs"] == [1, 2]
    single = estimate(assemblenet_50(), SETTING)
    assert rows(describe(single))[-1].endswith("%")
    assert to_dict(single)["outputs"] == [14]


def test_columns_line_up():
    lines = describe(estimate(assemblenet_50(), SETTING)).split("\n\n")[1].splitlines()
    share = lines[0].index("share") + len("share")
    assert all(line[share - 1] == "%" for line in lines[1:])
    assert all(line == line.rstrip() for line in lines)


def test_named_peers_are_shown_where_they_gate():
    graph = Architecture("tiny", (Stem("rgb", 8), Block(1, (0,), 4, peers=(0,))))
    assert "0 <- 0" in describe(estimate(graph, Setting()))
    assert "<-" not in describe(estimate(graph, Setting(gate="self")))


def test_what_is_left_out_is_reported():
    text = describe(estimate(assemblenet_plus_plus_50(), Setting(gate="none")))
    (row,) = (line for line in rows(text) if line.startswith("   9 "))
    assert row.endswith("left out: reaches no output")
    assert "note: assemblenet_plus_plus_50: node 9" in text


def test_overheads_are_beside_the_papers():
    graph = assemblenet_plus_plus_50()
    text = describe(estimate(graph, SETTING), peer_overheads(graph, SETTING))
    assert re.search(r"the paper, discrete +\+0\.151 % +\+1\.68 %", text)
    assert re.search(r"one-shot .*node 9 as a peer alone", text)


def test_the_json_is_plain_and_adds_up():
    graph = assemblenet_plus_plus_50()
    cost = estimate(graph, SETTING)
    report = to_dict(cost, peer_overheads(graph, SETTING))
    assert json.loads(json.dumps(report)) == {
        **report,
        "overheads_percent": [
            {**overhead, "kept_nodes": list(overhead["kept_nodes"])}
            for overhead in report["overheads_percent"]
        ],
    }
    assert report["total"]["parameters"] == cost.total.parameters
    assert sum(stream["flops"] for stream in report["streams"].values()) == cost.total.flops
    assert len(report["connections"]) == 46
    gates = sum(connection["gate"]["parameters"] for connection in report["connections"])
    assert gates == cost.of_role("gate").parameters


def learned_network():
    """Block 2 has chosen node 1 for its first input and is undecided on its second."""
    stems = (Stem("rgb", 32), Stem("rgb", 32))
    graph = Architecture("tiny", (*stems, Block(1, (0, 1), 4, strengths=(0.2, 0.3))))
    source = {"checkpoint": "run/ckpt-7", "step": 7, "data_fingerprints": {"train": "ab"}}
    return Learned(graph, {2: (0.75, 0.25)}, {2: ((0.125, 0.875), (0.5, 0.5))}, source)


def test_learned_numbers_by_hand():
    learned = learned_network()
    report = to_dict(estimate(learned.architecture, Setting()), (), learned)
    first, second = report["connections"]
    assert (first["strength"], second["strength"]) == (0.75, 0.25)
    # -1/8 log2 1/8 - 7/8 log2 7/8 = 3/8 + 7/8 (3 - log2 7)
    entropy = 3 / 8 + 7 / 8 * (3 - 2.807354922057604)
    assert first["peers"]["entropy_bits"] == pytest.approx(entropy)
    assert first["peers"]["entropy_share"] == pytest.approx(entropy)  # of one bit
    assert first["peers"]["candidates"] == [0, 1]
    assert (first["peers"]["likeliest"], first["peers"]["probability"]) == (1, 0.875)
    assert (second["peers"]["likeliest"], second["peers"]["entropy_bits"]) == (0, 1.0)
    assert report["learned"] == {
        **learned.source,
        "mean_strength": 0.5,
        "mean_entropy_bits": pytest.approx((entropy + 1) / 2),
        "mean_entropy_share": pytest.approx((entropy + 1) / 2),
    }
    assert json.loads(json.dumps(report))["learned"] == report["learned"]


def test_learned_strengths_are_beside_inputs_and_peers_in_a_table():
    learned = learned_network()
    text = describe(estimate(learned.architecture, Setting()), (), learned)
    assert "0 (0.75), 1 (0.25)" in text
    assert re.search(r"0 -> 2 +0\.750 +1 +87\.5% +2 +0\.544 +54\.4%", text)
    assert re.search(r"1 -> 2 +0\.250 +0 +50\.0% +2 +1\.000 +100\.0%", text)
    assert "checkpoint run/ckpt-7, step 7: strengths 0.25 to 0.75, on average 0.50" in text
    assert "mean entropy 0.77 bits, 77.2% of an even choice's" in text


def test_without_a_run_the_graphs_strengths_are_reported():
    graph = learned_network().architecture
    report = to_dict(estimate(graph, Setting()))
    assert [connection["strength"] for connection in report["connections"]] == [0.2, 0.3]
    assert [connection["peers"] for connection in report["connections"]] == [None, None]
    assert report["learned"] is None
    assert "entropy" not in describe(estimate(graph, Setting()))


def test_strengths_alone_are_reported_without_peers():
    learned = dataclasses.replace(learned_network(), peer_distributions={})
    cost = estimate(learned.architecture, Setting(gate="none"))
    text = describe(cost, (), learned)
    assert "0 (0.75), 1 (0.25)" in text
    assert "entropy" not in text
    assert to_dict(cost, (), learned)["learned"]["mean_entropy_bits"] is None
