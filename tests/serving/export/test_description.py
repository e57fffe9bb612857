"""The description in an exported file, and the choice of a version."""

import json

import pytest

from official_vision import formats
from official_vision.errors import UserError
from official_vision.serving.export.description import (
    feeding_to_dict,
    preparation_of,
    read_description,
    version_folder,
)
from official_vision.specs import DataSpec, PrepareSpec


def write(folder, content):
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "model.json").write_text(content)
    return folder


def test_the_newest_version_is_taken(tmp_path):
    for version in ("1", "9", "10"):
        write(tmp_path / version, "{}")
    (tmp_path / ".partial-x").mkdir()
    (tmp_path / "notes").mkdir()
    assert version_folder(tmp_path) == tmp_path / "10"
    assert version_folder(str(tmp_path / "9")) == tmp_path / "9"


@pytest.mark.parametrize("made", [None, "empty", "7"])
def test_a_folder_without_a_version_is_refused(tmp_path, made):
    folder = tmp_path / "export"
    if made:
        (folder / made).mkdir(parents=True)
    with pytest.raises(UserError, match="official-vision export") as caught:
        version_folder(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_read_again(tmp_path):
    preparation = PrepareSpec(
        short_side=48, fps=12.5, flow="tvl1", flow_bound=7.5, objects="none", annotations="a.csv"
    )
    clip = DataSpec(frames=5, frame_stride=3, size=33, short_video="hold", path="elsewhere")
    values = {"labels": ["a", "b"], "streams": ["rgb"]}
    values |= feeding_to_dict(preparation.to_dict(), clip)
    values |= {"nodes": ["a"], "gates": [], "stem_share": 0.5, "shared_stems": ["stem_a"]}
    values["feature_nodes"] = [3]
    write(tmp_path, "")
    formats.EXPORTED_MODEL.write(tmp_path / "assets" / "model.json", values)
    read = read_description(tmp_path)
    assert (read.nodes, read.gates, read.stem_share) == (("a",), (), 0.5)
    assert (read.shared_stems, read.feature_nodes) == (("stem_a",), (3,))
    assert (read.labels, read.streams) == (("a", "b"), ("rgb",))
    # Nothing of the machine it was trained on travels along.
    assert read.preparation == PrepareSpec(
        short_side=48, fps=12.5, flow="tvl1", flow_bound=7.5, objects="none"
    )
    assert read.clip == DataSpec(frames=5, frame_stride=3, size=33, short_video="hold")


HEADER = json.dumps(formats.EXPORTED_MODEL.header)[:-1]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"labels": ["a"]',
        HEADER + ', "labels": 3}',
        HEADER + ', "clip": {}}',
    ],
)
def test_a_description_that_is_not_whole_is_refused(tmp_path, content):
    with pytest.raises(UserError, match=r"model\.json") as caught:
        read_description(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_settings_that_an_export_is_too_old_for_have_their_defaults():
    """Preparation had these effects before there were settings of them."""
    values = PrepareSpec(objects="tflite:net.tflite", object_scale=2.0).to_dict()
    for name in ("object_result", "object_enlarged", "object_batch"):
        del values[name]
    expected = PrepareSpec(objects="tflite:net.tflite", object_scale=2.0)
    assert preparation_of(values) == expected
    del values["fps"]
    with pytest.raises(KeyError):
        preparation_of(values)
