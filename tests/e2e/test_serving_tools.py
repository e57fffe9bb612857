"""predict on folders, explain and serve_check as a user runs them."""

import json

import cv2
import pytest

from official_vision.specs import PrepareSpec
from tests import commands
from tests.serving import exports
from tests.serving.predict.test_serving_client import serving, tf_serving


def error_line(done):
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.strip().splitlines()
    return line


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return exports.save_known_scores(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def clip(footage, tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "carphone.mp4"
    return exports.first_frames(footage["carphone_pristine"], 9, path)


def test_mistakes_are_reported_before_anything_starts(model, clip, tmp_path):
    for tool, flags, message in (
        ("explain", [f"--video={clip}"], "--model_dir and one of --video and --record"),
        ("explain", [f"--model_dir={tmp_path}", f"--video={clip}"], f"Received: {tmp_path}"),
        ("recompute_norms", [f"--model_dir={tmp_path}"], f"Received: {tmp_path}"),
        ("serve_check", [f"--model={model}"], "--address, --model and --video"),
        ("predict", [f"--model={model}", f"--video={tmp_path}"], "which has none"),
    ):
        assert message in error_line(commands.run(tool, *flags))


@pytest.mark.slow
def test_a_folder_is_predicted_once(model, clip, tmp_path):
    flags = [f"--model={model}", f"--video={clip.parent}", f"--output_dir={tmp_path}"]
    done = commands.run("predict", *flags, "--annotate", "--workers=2", "--stride=4")
    assert done.returncode == 0, done.stderr
    names = ["carphone.annotated.mp4", "carphone.json", "carphone.timeline.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = commands.run(
        "predict", *flags, "--annotate", "--stride=4", f"--json={tmp_path / 'all.json'}"
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("1 of 1 videos are done already")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (prediction,) = json.loads((tmp_path / "all.json").read_text())
    assert prediction == json.loads((tmp_path / "carphone.json").read_text())["prediction"]
    # Neither the annotated video in the folder nor a JSON file of another origin is touched.
    beside = [f"--model={model}", f"--video={clip.parent}", f"--output_dir={clip.parent}"]
    assert commands.run("predict", *beside, "--annotate", "--stride=2").returncode == 0
    (clip.parent / "carphone.json").write_text("{}")
    message = error_line(commands.run("predict", *beside, "--annotate", "--stride=2"))
    assert "carphone.json, which is of another origin" in message
    assert len(list(clip.parent.iterdir())) == 4


@pytest.mark.slow
def test_a_run_explains_a_video_and_a_record(clip, tmp_path):
    index = exports.write_split(tmp_path / "validation", [clip], PrepareSpec(short_side=32))
    exports.write_run(tmp_path / "run", tmp_path / "validation", index.fingerprint)
    sheet = tmp_path / "sheet.png"
    flags = [f"--model_dir={tmp_path / 'run'}", f"--output={sheet}"]
    done = commands.run(
        "explain", *flags, f"--video={clip}", "--label=late", "--level=4", fresh=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("late: ")
    assert cv2.imread(str(sheet)).shape[1] == 1400
    assert "4 (level 4)" in sheet.with_suffix(".html").read_text(encoding="utf-8")
    # A number that there is not is tested in tests/serving/explain/test_run_clips.py: a start takes seconds.
    assert commands.run("explain", *flags, "--record=0").returncode == 0


@pytest.mark.slow
def test_a_running_server_is_compared(model, clip):
    flags = [f"--model={model}", f"--video={clip}", "--timeout_sec=30"]
    with serving(tf_serving(model)) as address:
        done = commands.run("serve_check", f"--address={address}", *flags)
    assert done.returncode == 0, done.stderr
    assert "no score differs" in done.stdout
    message = error_line(commands.run("serve_check", f"--address={address}", *flags))
    assert address in message
