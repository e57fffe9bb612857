"""Figures of preparation: of what was really done, and parts that make up the whole."""

import dataclasses
import itertools
import time
from types import SimpleNamespace

import pytest

from official_vision.benchmark import preparation_speed as preparation
from official_vision.benchmark.preparation_speed import measure_preparation, part_seconds
from official_vision.data import optical_flow
from official_vision.data.annotations.manifest import VideoRow
from official_vision.specs import PrepareSpec


@pytest.fixture
def spec(footage, tmp_path):
    (tmp_path / "a.csv").write_text(
        "path,labels,split,start,end,id\n"
        "carphone_pristine.mp4,a,train,0,0.5,x\n"
        "carphone_pristine.mp4,a,train,1,1.5,y\n"
        "missing.mp4,a,train,,,z\n"
    )
    return PrepareSpec(
        annotations=str(tmp_path / "a.csv"),
        videos=str(footage["carphone_pristine"].parent),
        output=str(tmp_path / "untouched"),
        short_side=32,
        objects="none",
        workers=1,
    )


def test_speed_is_of_the_videos_that_were_stored(spec, monkeypatch, tmp_path):
    """On a clock by which everything takes ten seconds: two spans of 15 frames each, 29.97 per second."""
    clock = itertools.count(0, 10)
    monkeypatch.setattr(preparation, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    monkeypatch.setattr(preparation, "_FRAMES_FOR_PARTS", 8)
    result = measure_preparation(spec, videos=3)
    assert result["videos"] == 3
    assert result["video_seconds_per_second"] == {"1": pytest.approx(0.1, rel=0.05)}
    assert sum(result["shares"].values()) == pytest.approx(1)
    assert "flow_tvl1" in result["parts"]
    assert "flow_tvl1" not in result["shares"]
    assert not (tmp_path / "untouched").exists()
    text = preparation.preparation_text(result)
    assert "1 workers      0.10" in text
    assert all(name in text for name in result["parts"])


def test_a_slow_part_shows_in_its_figure(spec, monkeypatch):
    monkeypatch.setattr(preparation, "_FRAMES_FOR_PARTS", 5)
    row = VideoRow("x", "carphone_pristine.mp4", "train", ())
    real = optical_flow.tvl1_flow

    def slow(*pair):
        time.sleep(0.1)
        return real(*pair)

    monkeypatch.setattr(optical_flow, "tvl1_flow", slow)
    parts = part_seconds(row, spec)
    # Four pairs of five frames in 4 / 29.97 s of video.
    assert parts["flow_tvl1"] > 0.4 / (4 / 29.97)
    assert parts["flow_dis"] < parts["flow_tvl1"] / 2
    assert set(parts) >= {"decode", "resize", "encode_rgb", "encode_flow", "write"}
    assert "objects" not in parts
    moving = part_seconds(row, dataclasses.replace(spec, objects="motion"))
    # Ids of flow that is there: what flow takes is not theirs.
    assert 0 < moving["objects"] < parts["flow_tvl1"] / 2
