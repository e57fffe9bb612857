"""docs/model_zoo.md: the costs that the code computes, beside seconds that were measured."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

from official_vision.architecture.zoo import ZOO
from official_vision.specs import ModelSpec

REPOSITORY = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(REPOSITORY / "tools" / "model_zoo.py"))
MEASURED = json.loads((REPOSITORY / "docs" / "model_zoo.json").read_text())


def test_the_page_is_what_the_tool_writes() -> None:
    assert (REPOSITORY / "docs" / "model_zoo.md").read_text() == TOOL["page"](MEASURED)


def test_every_network_has_a_row_with_measured_seconds() -> None:
    page = TOOL["page"](MEASURED)
    assert "not measured" not in page
    named = re.findall(r"^\| (\w+)", page, re.MULTILINE)
    assert {*named} - {"network"} == {*ZOO}
    (row,) = [
        row
        for row in MEASURED["rows"]
        if row["name"] == "assemblenet_50" and row["precision"] == "float32"
    ]
    changed = json.loads(json.dumps(MEASURED))
    for other in changed["rows"]:
        if (other["name"], other["precision"]) == (row["name"], row["precision"]):
            other["seconds"]["median"] = 123.45
    (line,) = [x for x in TOOL["page"](changed).splitlines() if x.startswith("| assemblenet_50 ")]
    assert "| 123.45 s, " in line


def test_parameters_are_those_of_a_built_network() -> None:
    from official_vision.modeling.builder import build_model

    model = build_model(
        ModelSpec(architecture="slowfast_50", gate="none", num_classes=157, num_object_classes=151)
    )
    (line,) = [x for x in TOOL["page"](MEASURED).splitlines() if x.startswith("| slowfast_50")]
    assert f"| {model.count_params() / 1e6:.1f} M |" in line


@pytest.mark.parametrize("path", TOOL["gin_files"](), ids=lambda path: path.stem)
def test_gin_files_state_the_costs_of_the_table(path: Path) -> None:
    (line,) = [x for x in TOOL["page"](MEASURED).splitlines() if x.startswith(f"| {path.stem} |")]
    millions, gigaflops = (cell.strip() for cell in line.split("|")[4:6])
    assert f"{millions} parameters, {gigaflops} GFLOPs" in path.read_text()
