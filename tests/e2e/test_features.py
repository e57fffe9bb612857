"""tools/features.py as a user runs it."""

import json
import re

import numpy as np
import pytest

from official_vision import config as configuration
from official_vision.data.storage.index import Index
from official_vision.specs import PrepareSpec
from official_vision.training.run_folder.class_names import write_labels
from official_vision.training.run_folder.recorded_data import write_run_data
from tests import commands
from tests.serving import exports


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two videos of 8 frames, and a text file."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a", "b"):
        frames = [np.full((32, 32, 3), 20 * t + ord(name) - 97, np.uint8) for t in range(8)]
        exports.write_video(folder / f"{name}.mp4", frames)
    (folder / "text.mp4").write_text("no video\n")
    return folder


@pytest.fixture(scope="module")
def run(videos, tmp_path_factory):
    """A run's folder, as training leaves it."""
    folder = tmp_path_factory.mktemp("run")
    split = folder / "validation"
    index = exports.write_split(split, [videos / "a.mp4"], PrepareSpec(short_side=32))
    exports.write_run(folder / "run", split, index.fingerprint)
    write_labels(folder / "run", exports.LABELS)
    settings = configuration.read(folder / "run")
    write_run_data(folder / "run", settings, {"train": Index.read(split)})
    return folder / "run"


@pytest.mark.slow
def test_a_killed_extraction_goes_on(run, videos, tmp_path):
    """Two workers; then one: what was done is skipped, and the text file is named again."""
    flags = ["--of=3", "--stride=4", f"--output_dir={tmp_path}", f"--model={run}", str(videos)]
    process = commands.start("features", *flags, "--workers=2")
    commands.kill_when(process, tmp_path / "b.json")
    (tmp_path / ".partial-left.npy").write_bytes(b"of a killed worker")
    first = json.loads((tmp_path / "b.json").read_text())
    done = commands.run("features", *flags, fresh=True)
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"error: {videos / 'text.mp4'}: ")
    assert "of 3 videos are done already" in done.stdout
    assert json.loads((tmp_path / "b.json").read_text()) == first
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "a.npy", "b.json", "b.npy"}
    rows = [np.load(tmp_path / f"{name}.npy") for name in "ab"]
    assert rows[0].shape == rows[1].shape == (8, 16)
    assert not np.array_equal(*rows)
    assert first["features"]["of"] == "3"


def test_mistakes_are_reported_before_anything_starts(tmp_path):
    for flags, message in (
        ([f"--model={tmp_path}"], "--model and a video must be set"),
        ([f"--model={tmp_path}", "a.mp4"], f"a run's folder or one that .*: {tmp_path}, which is"),
        (["--model=x.tflite", "a.mp4"], "a run or a SavedModel"),
        ([f"--model={tmp_path}", "a.mp4", "--of=tail"], "a node's index"),
    ):
        assert re.search(message, commands.refusal("features", *flags, cwd=tmp_path))
    assert list(tmp_path.iterdir()) == []
