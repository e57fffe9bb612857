"""tools/benchmark.py as a user runs it: on shards of one's own, to a file, and its mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training import runs

REPOSITORY = Path(__file__).resolve().parents[2]


def benchmark(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "tools/benchmark.py", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.slow
def test_own_shards_are_measured(tmp_path: Path) -> None:
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
    assert set(figures["decoded_a_used_frame"].values()) == {1.0}
    assert set(figures["clips_a_core_second"]) == {"garden_rgb", "rgb", "rgb_flow_objects"}
    assert "rgb_flow_objects" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--what must be one of input. Received: None."),
        (["--what=x"], "--what must be one of input. Received: 'x'."),
        (["--what=input", "--rounds=0"], "--rounds must be at least 1. Received: 0."),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], words: str) -> None:
    done = benchmark(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {words}")
    assert len(done.stderr.splitlines()) == 1
