"""tools/export.py and tools/predict.py as a user runs them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from official_vision.specs import PrepareSpec
from tests import commands
from tests.commands import ENVIRONMENT, REPOSITORY
from tests.serving import exports


def error_lines(done):
    return done.stderr.strip().splitlines()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An exported file whose scores are known."""
    return exports.save_known_scores(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def broken(footage, tmp_path_factory):
    """A cut video, a text file and a path at which there is nothing."""
    folder = tmp_path_factory.mktemp("broken")
    return *exports.write_broken_videos(folder, footage["bikes"]), folder / "missing.mp4"


@pytest.fixture(scope="module")
def run(footage, tmp_path_factory):
    """A run's folder, as training leaves it, with its data."""
    folder = tmp_path_factory.mktemp("run")
    clip = exports.first_frames(footage["carphone_pristine"], 6, folder / "clip.mp4")
    index = exports.write_split(folder / "validation", [clip], PrepareSpec(short_side=32))
    exports.write_run(folder / "run", folder / "validation", index.fingerprint)
    return folder / "run"


def test_broken_videos_are_named_and_the_others_predicted(model, broken, footage, tmp_path):
    carphone = exports.first_frames(footage["carphone_pristine"], 24, tmp_path / "carphone.mp4")
    # The same name twice: neither picture may replace the other.
    (tmp_path / "again").mkdir()
    again = exports.first_frames(carphone, 9, tmp_path / "again" / carphone.name)
    videos = [broken[0], carphone, broken[1], broken[2], again]
    flags = [f"--video={path}" for path in videos]
    output = tmp_path / "pictures"
    done = commands.run(
        "predict",
        f"--model={model}",
        *flags,
        f"--output_dir={output}",
        f"--json={tmp_path / 'all.json'}",
    )
    assert done.returncode == 3, done.stderr
    lines = error_lines(done)
    assert len(lines) == 3, done.stderr
    for line, path in zip(lines, broken, strict=True):
        assert line.startswith(f"error: {path}: ")
    assert "cut short" in lines[0] or "broken after" in lines[0]
    assert sorted(path.name for path in output.iterdir()) == [
        "carphone-2.json",
        "carphone-2.timeline.png",
        "carphone.json",
        "carphone.timeline.png",
    ]
    assert f"{carphone} (1.0 s)" in done.stdout
    for label in exports.LABELS:
        assert f"\n{label} " in done.stdout
    first, second = json.loads((tmp_path / "all.json").read_text())
    assert (first["video"], second["video"]) == (str(carphone), str(again))
    assert first["duration_sec"] == pytest.approx(24 / 25, abs=0.01)
    scores = {row["label"]: row["score"] for row in first["classes"]}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert scores["late"] == pytest.approx(0.75)


def test_mistakes_are_reported_before_anything_starts(model, footage, tmp_path):
    for tool, flags, message in (
        ("predict", [], "--model and a video must be set"),
        ("predict", [f"--model={model}"], "0 videos"),
        ("export", [f"--output={tmp_path}"], "--model_dir and --output must be set"),
        ("predict", [f"--model={tmp_path}", "--video=a.mp4"], f"Received: {tmp_path}, which is"),
        ("predict", [f"--model={model}", "--video=a.mp4", "--json=/proc/x"], "--json must name"),
        ("export", [f"--model_dir={tmp_path}", f"--output={tmp_path}"], f"Received: {tmp_path}"),
        ("export", ["--model_dir=a", "--output=a", "--tflite_frames=8"], "(8,), but no tflite"),
    ):
        done = commands.run(tool, *flags)
        (line,) = error_lines(done)
        assert done.returncode == 1
        assert message in line
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    done = commands.run(
        "predict",
        f"--model={model}",
        f"--video={footage['bikes']}",
        f"--output_dir={tmp_path / 'file'}",
    )
    (line,) = error_lines(done)
    assert (done.returncode, "--output_dir must name a folder" in line) == (1, True)


@pytest.mark.slow
def test_only_broken_videos_and_other_mistakes_exit_with_1(model, broken, footage, tmp_path):
    done = commands.run("predict", f"--model={model}", *[f"--video={path}" for path in broken])
    assert (done.returncode, len(error_lines(done))) == (1, 3)
    # A stride that doesn't fit is no fault of a video's: reported once.
    videos = [f"--video={footage['bikes']}"] * 2
    done = commands.run("predict", f"--model={model}", *videos, "--stride=99", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = error_lines(done)
    assert "99" in line


def partial_of(output, process):
    """Waits until the version is being written, and returns its temporary folder."""
    while process.poll() is None:
        folders = list(output.glob(".partial-*/variables")) if output.is_dir() else []
        if folders:
            return folders[0].parent
        time.sleep(0.01)
    pytest.fail(f"The export was over too soon: {process.communicate()}")


@pytest.mark.slow
def test_an_interrupted_export_leaves_nothing(run, tmp_path):
    output = tmp_path / "export"
    process = commands.start("export", f"--model_dir={run}", f"--output={output}")
    partial_of(output, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.startswith("interrupted")
    assert list(output.iterdir()) == []


@pytest.mark.slow
def test_a_run_is_exported_after_a_kill_and_predicts(run, footage, tmp_path):
    output = tmp_path / "export"
    flags = [f"--model_dir={run}", f"--output={output}"]
    process = commands.start("export", *flags)
    partial = partial_of(output, process)
    process.kill()
    process.communicate(timeout=60)
    # Nothing can tidy up after itself then; what is left has no version's name.
    assert set(output.iterdir()) == {partial, output / ".lock"}

    flags += ["--tflite=float32", "--tflite_frames=4", "--tflite_frames=6"]
    done = commands.run("export", *flags, fresh=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, file, *lite, rgb_alone, note = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lite] == [
        f"  TFLite float32, {n} frames" for n in (4, 6)
    ]
    assert first.startswith(f"exported {output / '1'}, ")
    assert float(re.search(r"SavedModel: scores within (\S+) \(", file)[1]) <= 1e-5
    assert rgb_alone.startswith("  serving_default takes rgb alone")
    assert "peers are not decided" in note
    flags = [f"--model={output}", footage["bikes"]]
    done = commands.run("predict", *flags, cwd=tmp_path, fresh=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "bikes.timeline.png").stat().st_size > 10_000
    assert "(10.0 s)" in done.stdout
    # The class that comes first has a score and no class is invented.
    note, _, _, *table, _ = done.stdout.splitlines()
    assert note.startswith("windows overlap by 2 of 4 frames")
    rows = [row.split() for row in table]
    assert {row[0] for row in rows} == set(exports.LABELS)
    assert all(0 <= float(row[1]) <= 1 for row in rows)
    lite = output / "1" / "model_float32.tflite"
    done = commands.run("predict", f"--model={lite}", "--window=6", footage["bikes"], cwd=tmp_path)
    assert done.stdout.startswith("windows overlap by 3 of 6 frames"), done.stderr


@pytest.mark.slow
def test_a_pipe_is_followed_to_its_end(model, tmp_path):
    frames = [np.full((32, 32, 3), 10 * t, np.uint8) for t in range(20)]
    content = exports.write_video(tmp_path / "a.mkv", frames).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    flags = [f"--model={model}", f"--video={tmp_path / 'pipe'}", f"--json={tmp_path / 'a.jsonl'}"]
    process = commands.start("predict", *flags, "--stride=4")
    (tmp_path / "pipe").write_bytes(content)
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    *lines, last = stdout.splitlines()
    assert last.endswith("pipe: 20 frames, 5 windows scored")
    assert [line.split()[0] for line in lines] == [
        "0.0-0.2",
        "0.2-0.3",
        "0.3-0.5",
        "0.5-0.6",
        "0.6-0.8",
    ]
    header, *scored = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert header["labels"] == list(exports.LABELS)
    bright = [result["scores"][0] for result in scored]
    assert bright == pytest.approx([(4 * n + 3) * 10 / 255 for n in range(5)], abs=0.02)
    message = commands.refusal("predict", *flags, "--annotate")
    assert "has no annotated file" in message


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_video(model, tmp_path):
    """1000 frames of 128 x 96 and their flow at the short side of 32 pixels are 15 MB."""
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
    lengths = (200, 1200)
    paths = [
        exports.write_video(
            tmp_path / f"{frames}.mp4",
            (np.roll(picture, 4 * t, axis=1) for t in range(frames)),
        )
        for frames in lengths
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.prediction_memory", str(model), *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
        env=ENVIRONMENT,
    )
    counts, used = zip(*(map(int, line.split()) for line in done.stdout.splitlines()), strict=True)
    assert counts == lengths
    print(f"greatest memory in KiB by number of frames: {dict(zip(lengths, used, strict=True))}")
    assert used[1] - used[0] < 8 * 1024
