"""tools/benchmark.py as a user runs it: on other shards, to a file, and its mistakes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests import commands
from tests.training import runs


def benchmark(*arguments: str) -> subprocess.CompletedProcess:
    return commands.run("benchmark", *arguments)


@pytest.mark.slow
def test_other_shards_are_measured(tmp_path: Path) -> None:
    data = runs.write_data(tmp_path / "data")
    path = tmp_path / "figures.json"
    done = benchmark(
        "--what=input",
        "--rounds=1",
        "--batches=1",
        f"--json={path}",
        f"--gin_bindings=train/DataSpec.path = '{data / 'train'}'",
        "--gin_bindings=DataSpec.batch_size = 2",
        "--gin_bindings=DataSpec.frames = 2",
        "--gin_bindings=DataSpec.size = 16",
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert figures["videos"] == 16
    assert figures["data"] == str(data / "train")
    assert set(figures["decoded_per_used_frame"].values()) == {1.0}
    assert set(figures["clips_per_core_second"]) == {"garden_rgb", "rgb", "rgb_flow_objects"}
    assert "rgb_flow_objects" in done.stdout


@pytest.mark.slow
def test_preparation_is_measured(tmp_path: Path, footage: dict[str, Path]) -> None:
    path = tmp_path / "figures.json"
    annotations = tmp_path / "a.csv"
    annotations.write_text("path,labels,split,start,end\ncarphone_pristine.mp4,a,train,0,0.5\n")
    values = {
        "annotations": str(annotations),
        "videos": str(footage["carphone_pristine"].parent),
        "output": str(tmp_path / "untouched"),
        "short_side": 32,
        "workers": 1,
    }
    bindings = [f"--gin_bindings=PrepareSpec.{k} = {v!r}" for k, v in values.items()]
    done = benchmark("--what=prepare", f"--json={path}", *bindings)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    assert figures["video_seconds_per_second"]["1"] > 0
    assert sum(figures["shares"].values()) == pytest.approx(1)
    assert figures["parts"]["objects"] > figures["parts"]["write"] > 0
    assert "video-seconds per second" in done.stdout
    assert not (tmp_path / "untouched").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            [],
            "--what must be one of forward, train, search, export, input, prepare, program. Received: None.",
        ),
        (
            ["--what=x"],
            "--what must be one of forward, train, search, export, input, prepare, program. Received: 'x'.",
        ),
        (["--what=input", "--rounds=0"], "--rounds must be at least 1. Received: 0."),
        (["--what=train", "--picture=a.png"], "--picture shows what --grow measures."),
        (["--what=input", "--grow=size=1,2"], "--grow is of forward and train."),
        (["--what=search", "--profile=x"], "--profile is of forward and train."),
        (["--what=train", "--profile=x", "--grow=size=1,2"], "--grow times one network."),
        (["--what=forward", "--profile=README.md"], "--profile "),
        (["--what=program"], "--what=program writes to --output, and nothing else does."),
        (
            ["--what=train", "--output=x"],
            "--what=program writes to --output, and nothing else does.",
        ),
        (["--what=program", "--output=README.md/x"], "--output must name a folder"),
        (["--what=program", "--output=docs"], "--output names a folder to come. Received: 'docs'"),
        (["--what=program", "--output=x", "--precisions=int8"], "--precisions must be some of"),
        (["--what=program", "--output=x", "--passes="], "--passes must be some of"),
        (["--what=program", "--output=x", "--batch_sizes=8,0"], "--batch_sizes must be numbers"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str) -> None:
    done = benchmark(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {words}")
    assert len(done.stderr.splitlines()) == 1
