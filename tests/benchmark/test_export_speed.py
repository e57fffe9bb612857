"""The benchmark of exported files: files score as the network does, and refusals are reported."""

import dataclasses

import pytest

from official_vision.benchmark.export_speed import exports_text, measure_exports
from tests.training import runs


@pytest.fixture
def config(tmp_path):
    return runs.config(tmp_path, tmp_path / "run", runs.save_small(tmp_path), batch_size=2)


@pytest.mark.slow
def test_files_are_timed_and_score_as_the_network(config):
    notes = []
    result = measure_exports(config, 2, notes.append, ("float32",), ("float16",))
    full, half = result["rows"]
    assert [full["name"], half["name"]] == ["SavedModel float32", "TFLite float16"]
    assert full["difference"] < 1e-4
    assert full["difference"] <= half["difference"] < 0.02
    assert half["mebibytes"] < full["mebibytes"]
    for row in (full, half):
        assert row["write_seconds"] > 0
        assert row["seconds"] > 0
    lines = exports_text(result).splitlines()
    assert lines[2:] == notes
    assert f"{result['keras_seconds'] / full['seconds']:.2f}" in lines[2]


def test_what_a_file_has_no_place_for_is_reported(config):
    model = dataclasses.replace(config.model, flow_source="computed", flow_iterations=1)
    computed = dataclasses.replace(config, model=model)
    result = measure_exports(computed, 1, lambda _: None, (), ("int8",))
    (row,) = result["rows"]
    assert row["refused"].startswith("Full int8 has no place for the flow's loop.")
    assert row["refused"] in exports_text(result)
