"""A study as a user runs it: one variant that trains, and one that can't be trained."""

import json
import os

import pytest

from official_vision.lock import folder_locked
from tests import commands
from tests.training import runs


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    data = runs.write_data(folder / "data")
    graph = runs.save_small(folder, streams=("rgb", "flow"))
    settings = runs.config(data, "", graph, steps=2, validation_interval=2)
    (folder / "run.gin").write_text(settings.to_gin())
    return [
        f"--gin_file={folder / 'run.gin'}",
        "--variant=small:",
        "--variant=classes: ModelSpec.num_classes = 3",
        "--expected_peer=0>3=1,2",
        "--seeds=1",
        f"--output={folder / 'output'}",
    ], folder / "output"


def run(flags):
    return commands.run("study", *flags)


@pytest.mark.slow
def test_results_are_compared_failures_named_and_nothing_done_twice(command):
    command, output = command
    done = run(command)
    assert done.returncode == 3, done.stderr
    assert done.stdout.count("failed: classes") == 1
    assert "num_classes" in done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    study = json.loads((output / "study.json").read_text())
    (small,) = (run for run in study["runs"] if run["variant"] == "small")
    result = json.loads((output / "small" / "seed-1" / "result.json").read_text())
    assert small["value"] == result["figures"]["mAP"]
    assert len(small["peers_match"]) == 1
    assert f"| small | 1 | {small['value']:.4f} |" in (output / "study.md").read_text()
    assert (output / "study.png").read_bytes().startswith(b"\x89PNG")

    # What is finished stays: the same command with the one variant has nothing to train.
    written = (output / "small" / "seed-1" / "result.json").stat().st_mtime_ns
    again = run([flag for flag in command if "classes" not in flag])
    assert again.returncode == 0, again.stderr
    assert "run 1 of" not in again.stdout
    assert (output / "small" / "seed-1" / "result.json").stat().st_mtime_ns == written

    with folder_locked(output, "--output", "a study"):
        refused = run(command)
    assert refused.returncode == 1
    assert f"Received: {output}, in use by process {os.getpid()}" in refused.stderr

    refused = run([*command, "--gin_bindings=TrainSpec.steps = 4"])
    assert refused.returncode == 1
    assert "train.steps was 2, is 4" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
