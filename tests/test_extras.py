"""Without the packages of the extras: commands and the Python interface name what to install, in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from official_vision import extras
from official_vision.commands.main import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[1]
WITHOUT_EXTRAS = """
import sys
from official_vision.extras import EXTRA_OF

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRA_OF:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""
MAIN = "from official_vision.commands.main import main; main()"


def run(program: str, *words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", f"{WITHOUT_EXTRAS}\n{program}", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_needs_no_extra(name: str) -> None:
    done = run(MAIN, name, "--help")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("prepare", "--gin_file=own_videos.gin"), "prepare"),
        (("predict", "--model=export.tflite", "video.mp4"), "video"),
    ],
)
def test_a_command_names_the_extra_that_it_needs(words: tuple[str, ...], extra: str) -> None:
    done = run(MAIN, *words)
    assert done.returncode == 1
    assert done.stderr.startswith("error: This needs the package ")
    assert done.stderr.endswith(f"Install it: pip install 'official-vision[{extra}]'.\n")
    assert done.stderr.count("\n") == 1


def test_the_python_interface_names_it_too() -> None:
    program = """
import official_vision as ov
assert ov.build_model and ov.layers.PeerAttentionGate and ov.train
try:
    ov.Predictor
except Exception as error:
    print(type(error).__name__, error)
"""
    done = run(program)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("UserError This needs the package av. ")
    assert done.stdout.endswith("pip install 'official-vision[video]'.\n")


def test_a_job_is_named_in_place_of_its_part() -> None:
    decoder = ModuleNotFoundError("No module named 'av'", name="av")
    assert "official-vision[video]" in extras.missing(decoder)
    assert "official-vision[prepare]" in extras.missing(decoder, "prepare")
    tracker = ModuleNotFoundError("No module named 'mlflow.tracking'", name="mlflow.tracking")
    assert "official-vision[mlflow]" in extras.missing(tracker, "prepare")
    assert extras.missing(ModuleNotFoundError("No module named 'x'", name="x")) == ""
