"""The report: its numbers add up, its columns line up, and it says what is unusual."""

import dataclasses
import json
import re

from official_vision.architecture.cost import Setting, estimate
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.overhead import peer_overheads
from official_vision.architecture.report import describe, to_dict
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
    amounts = [re.search(r" ([\d,]+) +([\d.]+) +([\d.]+)%", line) for line in rows(text)]
    assert len(amounts) == 15 + 2
    assert sum(int(found[1].replace(",", "")) for found in amounts) == cost.total.parameters
    gigaflops = (cost.total.flops + cost.total.elementwise) / 1e9
    assert abs(sum(float(found[2]) for found in amounts) - gigaflops) < 0.02
    assert abs(sum(float(found[3]) for found in amounts) - 100) < 1
    assert f"total: {cost.total.parameters:,} parameters" in text


def test_a_row_tells_the_block():
    text = describe(estimate(assemblenet_50(), dataclasses.replace(SETTING, gate="none")))
    (row,) = (line for line in rows(text) if line.startswith("  13 "))
    assert "C 256 dilation 4 stride 2" in row
    assert "16 x 14 x 14 x 1024" in row
    assert row.endswith("8 (0.50), 9 (0.89)")
    assert "flow from rgb" in text
    assert "C 152-152-68" in describe(estimate(assemblenet_plus_plus_lite(), SETTING))


def test_columns_line_up():
    lines = describe(estimate(assemblenet_50(), SETTING)).split("\n\n")[1].splitlines()
    share = lines[0].index("share") + len("share")
    assert all(line[share - 1] == "%" for line in lines[1:])
    assert all(line == line.rstrip() for line in lines)


def test_named_peers_are_shown_where_they_gate():
    graph = Architecture("tiny", (Stem("rgb", 8), Block(1, (0,), 4, peers=(0,))))
    assert "0 <- 0" in describe(estimate(graph, Setting()))
    assert "<-" not in describe(estimate(graph, Setting(gate="self")))


def test_what_is_left_out_is_told():
    text = describe(estimate(assemblenet_plus_plus_50(), Setting(gate="none")))
    (row,) = (line for line in rows(text) if line.startswith("   9 "))
    assert row.endswith("left out: reaches no output")
    assert "note: assemblenet_plus_plus_50: node 9" in text


def test_overheads_stand_beside_the_papers():
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
    assert sum(own["flops"] for own in report["streams"].values()) == cost.total.flops
    assert len(report["connections"]) == 46
    gates = sum(own["gate"]["parameters"] for own in report["connections"])
    assert gates == cost.of_role("gate").parameters
