"""The sheet: what is drawn, and a page with its numbers and no foreign markup."""

import base64
import re

import cv2
import numpy as np
import pytest

from official_vision.serving.explain.explanation import AttentionMap, Explanation, GateValues
from official_vision.serving.explain.explanation_sheet import make_figure, pictures_of, write_sheet
from official_vision.serving.explain.gate_picture import describe_gate

NAMES = ("0 (rgb)", "1 (flow)", "2 (level 1)")
LABELS = ("sit <b>", "stand $x")


@pytest.fixture
def explanation():
    hot = np.zeros((3, 4, 4), np.float32)
    hot[1, :2] = 5
    maps = {"rgb": AttentionMap(2, ("flow", "rgb"), hot), "flow": AttentionMap(1, ("flow",), hot)}
    values = np.linspace(0.2, 0.8, 6, dtype=np.float32).reshape(3, 2)
    gates = [GateValues(0, 2, ((1, 0.75), (0, 0.25)), 0.5, values)]
    scores, frames = np.array([0.7, 0.3]), np.array([[0.1, 0.3], [0.7, 0.2], [0.4, 0.1]])
    return Explanation(0, scores, frames, {"rgb": 0.25, "flow": -0.125}, maps, gates, NAMES)


def features():
    rgb = np.full((3, 8, 8, 3), 90, np.uint8)
    flow = np.zeros((3, 8, 8, 2), np.float32)
    flow[..., 0] = 3
    return {"rgb": rgb, "flow": flow}


def test_each_stream_is_shown_in_its_colours():
    shown = pictures_of(
        {**features(), "objects": np.ones((3, 8, 8), np.uint8)}, ["rgb", "flow", "object"]
    )
    assert (shown["rgb"][0] == 90).all()
    assert shown["flow"][0][0, 0].tolist() == [255, 0, 0]  # rightwards, as fast as anything here
    assert shown["object"][0][0, 0].any()
    computed = pictures_of({"rgb": features()["rgb"]}, ["flow"])
    assert (computed["flow"][2] == 90).all()


def test_maps_lie_on_their_frames(explanation):
    figure = make_figure("x", explanation, LABELS, pictures_of(features(), ["rgb", "flow"]))
    axes = figure.subfigs[0].axes
    heat = [axis.images[1].get_array() for axis in axes if axis.images]
    assert len(heat) == 3
    assert heat[0].max() == 0
    assert heat[1].shape == (8, 8)
    assert (heat[1][0] == 1).all()
    assert heat[1][-1].max() == 0
    assert "also reached by flow" in figure.subfigs[0].get_suptitle()
    assert "this stream's alone" in figure.subfigs[1].get_suptitle()
    widths = [bar.get_width() for bar in figure.subfigs[2].axes[0].patches]
    assert widths == [0.25, -0.125]
    gate = figure.subfigs[3].axes[0].images[0].get_array()
    np.testing.assert_array_equal(gate, explanation.gates[0].values.T)


def test_a_gate_names_its_peers(explanation):
    caption = describe_gate(explanation.gates[0], NAMES)
    assert caption == "0 (rgb) -> 2 (level 1), strength 0.50\nopened by 1 (flow) 75%, 0 (rgb) 25%"
    static = GateValues(0, 2, (), 0.5, np.ones((1, 1)))
    assert describe_gate(static, NAMES).endswith("static")


def test_the_page_holds_the_picture_and_escapes_names(explanation, tmp_path):
    path = tmp_path / "sheet.png"
    write_sheet(path, "a & b.mp4", explanation, LABELS, pictures_of(features(), ["rgb", "flow"]))
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    assert "a &amp; b.mp4" in page
    assert "sit &lt;b&gt;" in page
    assert "<b>" not in page
    picture = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    assert picture == path.read_bytes()
    assert cv2.imread(str(path)).std() > 10
    assert "<td>rgb</td><td>+0.2500</td>" in page
    assert "<td>1 (flow) 75%, 0 (rgb) 25%</td><td>0.200</td><td>0.500</td><td>0.800</td>" in page
    assert sorted(file.name for file in tmp_path.iterdir()) == ["sheet.html", "sheet.png"]
