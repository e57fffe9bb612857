"""The demo's result for a video, and what it refuses."""

import dataclasses
import os
import time

import av
import numpy as np
import pytest

from official_vision.errors import UserError
from official_vision.serving.demo import demo_service as demo_module
from official_vision.serving.demo.demo_service import Demo, DemoLimits, strongest_window, tidy
from official_vision.serving.explain.gate_openings import gate_values
from official_vision.serving.predict.predictor import Prediction
from tests.serving import exports

LIMITS = DemoLimits(megabytes=1, video_sec=5.0)


def nothing(share, what):
    """A progress that is not shown."""


@pytest.fixture(scope="module")
def demo(exported):
    return Demo(exported[1], LIMITS)


@pytest.fixture
def limited(demo, monkeypatch):
    """The demo with other limits."""

    def with_limits(**limits):
        monkeypatch.setattr(demo, "limits", dataclasses.replace(LIMITS, **limits))
        return demo

    return with_limits


def test_a_video_is_shown_with_all_its_frames_and_gates(demo, run, brightening, tmp_path):
    reports = []
    result = demo.predict(brightening, tmp_path, lambda share, what: reports.append((share, what)))
    with av.open(str(result.overlay)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 23
    assert result.text.startswith("brightening.mp4 (2.3 s)\n")
    assert {path.suffix for path in (result.timeline, result.gates)} == {".png"}
    assert {path.parent for path in (result.overlay, result.timeline, result.gates)} == {tmp_path}
    shares = [share for share, _ in reports]
    assert shares == sorted(shares)
    assert 0 == shares[0] < shares[-1] <= 1
    # The same clip through the run's network, of which the exported file was made.
    label, start_sec = strongest_window(demo.predictor.predict(brightening), 4)
    assert f"begins at {start_sec:.1f} s, where {label} is strongest" in result.text
    clip = demo.predictor.feeder.first_clip(brightening, start_sec)
    expected = gate_values(run[1], {name: x[np.newaxis] for name, x in clip.items()})
    assert len(result.gate_rows) == len(expected) == 4
    for row, gate in zip(result.gate_rows, expected, strict=True):
        assert row[0].startswith(f"{gate.source} (")
        assert row[1].startswith(f"opened by {gate.peers[0][0]} (")
        values = gate.values
        figures = [gate.strength, values.min(), values.mean(), values.max()]
        assert row[2:] == pytest.approx(figures, abs=6e-4)


def test_gates_of_the_exported_file_are_the_networks(demo, run, brightening):
    """Two more frames than a clip has: each gate's values [time, channels] beside the run's network."""
    clip = demo.predictor.feeder.first_clip(brightening, 0.5)
    openings = demo.predictor.gates(brightening, 0.5)
    for opening, other in zip(
        openings, gate_values(run[1], {k: x[np.newaxis] for k, x in clip.items()}), strict=True
    ):
        np.testing.assert_allclose(opening.values, other.values, atol=1e-5)
        assert opening.values.std() > 0
        assert (opening.source, opening.target) == (other.source, other.target)


def test_a_file_without_gates_is_shown_without(known_scores, brightening, tmp_path):
    result = Demo(exports.with_clip(known_scores), LIMITS).predict(brightening, tmp_path, nothing)
    assert "Gates are not shown" in result.text
    assert (result.gates, result.gate_rows) == (None, [])
    with pytest.raises(UserError, match="has none"):
        Demo(known_scores, LIMITS).predictor.gates(brightening, 0)


def prediction(peak, frames=10):
    frame_scores = np.zeros((frames, 2))
    frame_scores[peak, 1] = 1
    times = np.arange(frames + 1) / 10
    return Prediction("x", ("a", "b"), times, frame_scores, np.array([0.1, 0.9]), (), ())


@pytest.mark.parametrize(("peak", "start"), [(0, 0), (1, 0), (5, 0.3), (8, 0.6), (9, 0.6)])
def test_the_strongest_window_lies_around_the_peak_and_in_the_video(peak, start):
    assert strongest_window(prediction(peak), 4) == ("b", pytest.approx(start))
    assert strongest_window(prediction(2, frames=3), 4) == ("b", 0)


def test_what_is_too_much_is_refused_by_the_videos_name(limited, brightening, tmp_path):
    for limits, message in (
        ({"megabytes": 0}, "at most 0 MB here. Received: brightening.mp4 with 0 MB"),
        ({"video_sec": 2.0}, "at most 2 s here. Received: 2 s"),
        ({"work_sec": 0.0}, "at most 0 s of work here"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            limited(**limits).predict(brightening, tmp_path, nothing)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_the_header_hides_is_noticed(limited, brightening, tmp_path, monkeypatch):
    probe = demo_module.probe
    monkeypatch.setattr(
        demo_module, "probe", lambda path: dataclasses.replace(probe(path), duration_sec=None)
    )
    with pytest.raises(UserError, match=r"at most 1\.5 s here\. Received: a frame at 1\.6 s"):
        limited(video_sec=1.5).predict(brightening, tmp_path, nothing)


def test_a_broken_video_is_named_without_its_folder(demo, footage, tmp_path):
    for path in exports.write_broken_videos(tmp_path, footage["carphone_pristine"]):
        with pytest.raises(UserError, match=f"^{path.name}: ") as caught:
            demo.predict(path, tmp_path / "results", nothing)
        assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_any_error_of_a_video_is_one_line_with_its_name(demo, tmp_path, monkeypatch):
    def broken(*_):
        raise ValueError(f"no frame of {tmp_path / 'odd.mp4'}\nsecond line")

    monkeypatch.setattr(demo, "_predict", broken)
    with pytest.raises(UserError, match=r"^odd\.mp4: ValueError: no frame of odd\.mp4$"):
        demo.predict(tmp_path / "odd.mp4", tmp_path, lambda *_: None)


def test_only_what_is_old_goes(tmp_path):
    young, old = tmp_path / "a" / "young", tmp_path / "a" / "old"
    alone = tmp_path / "b" / "deep" / "alone"
    for path in (young, old, alone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    before = time.time() - 100
    for path in (old, alone):
        os.utime(path, (before, before))
    tidy(tmp_path, 50)
    assert young.exists()
    assert not old.exists()
    assert not alone.exists()
    for path in (tmp_path / "b" / "deep", tmp_path / "b"):
        os.utime(path, (before, before))
    tidy(tmp_path, 50)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    tidy(tmp_path / "missing", 0)
