"""The command official-vision, and the wheel outside of any checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from official_vision import packaged
from official_vision.architecture.formats import save_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.commands.main import COMMANDS
from tests.commands import Command, Server
from tests.serving import exports

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = "import sys; from official_vision.commands.main import main; sys.argv[0] = 'official-vision'; main()"


def run(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", PROGRAM, *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_every_command_is_listed_and_has_help_without_tensorflow() -> None:
    listed = run().stdout
    program = PROGRAM.replace("; main()", "")
    program += (
        "; import atexit; atexit.register(lambda: print('tensorflow' in sys.modules)); main()"
    )
    for name, command in COMMANDS.items():
        assert f"  {name} " in listed
        assert command.summary in listed
        done = subprocess.run(
            [sys.executable, "-c", program, name, "--help"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"official-vision {name}\n")
        assert re.search(r"^  --", done.stdout, re.MULTILINE), f"{name} shows no flag"
        assert done.stdout.endswith("False\n"), f"{name} --help imports TensorFlow"


def test_tools_have_every_command() -> None:
    """From a checkout; demo_app and inspect_network have longer names there."""
    started = "".join(path.read_text() for path in (REPOSITORY / "tools").glob("*.py"))
    for command in COMMANDS.values():
        assert f"start({command.module.rpartition('.')[2]})" in started


def test_an_unknown_command_is_one_line() -> None:
    done = run("trian")
    assert done.returncode == 1
    assert done.stderr.startswith("error: A command must be one of prepare, train")
    assert done.stderr.endswith("Received: 'trian'. Did you mean 'train'?\n")


def test_config_lists_shows_and_compares(tmp_path: Path) -> None:
    listed = run("config", "list").stdout
    assert "  charades.gin  Charades" in listed
    assert "\n  assemblenet_plus_plus_50\n" in listed
    shown = run("config", "show", "warmup_steps").stdout
    assert "OptimizerSpec.warmup_steps = " in shown
    mine = tmp_path / "mine.gin"
    mine.write_text(
        "include 'gin_configs/demo.gin'\nTrainSpec.steps = 7\nModelSpec.gate = 'self'\n"
    )
    differences = run("config", "diff", "demo.gin", str(mine)).stdout.splitlines()
    assert differences == ["ModelSpec.gate: 'peer' -> 'self'", "TrainSpec.steps: 600 -> 7"]
    assert run("config", "diff", "demo.gin", "demo.gin").stdout == "no setting differs\n"
    resolved = run("config", "show", f"--gin_file={mine}").stdout
    assert "TrainSpec.steps = 7\n" in resolved
    assert run("config", "compare").returncode == 1


def test_files_of_the_user_win_over_those_of_the_package(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert packaged.located("demo.gin") == str(REPOSITORY / "gin_configs" / "demo.gin")
    assert packaged.located("gin_configs/demo.gin") == packaged.located("demo.gin")
    (tmp_path / "demo.gin").write_text("TrainSpec.steps = 3\n")
    assert packaged.located("demo.gin") == "demo.gin"
    assert packaged.located("missing.gin") == "missing.gin"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The wheel, installed beside this environment's other packages and before its editable one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("official_vision", "gin_configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={folder}", str(source)]
    subprocess.run([*pip, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    install = ["install", "--no-deps", "--no-compile", f"--target={folder / 'site'}", str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    return folder / "site"


SMALL = {
    "ModelSpec.width_multiplier": "1.0",
    "PrepareSpec.short_side": "32",
    "PrepareSpec.objects": '"none"',
    "DataSpec.frames": "4",
    "DataSpec.size": "32",
    "DataSpec.batch_size": "2",
    "DataSpec.flip": "False",
    "validation/DataSpec.views": "1",
    "ModelSpec.architecture": '"graph.json"',
    "TrainSpec.steps": "2",
    "TrainSpec.steps_per_loop": "2",
    "TrainSpec.validation_interval": "2",
    "TrainSpec.checkpoint_interval": "2",
    "TrainSpec.pictures": "False",
    "TrainSpec.precise_batch_norm_batches": "1",
    "OptimizerSpec.warmup_steps": "0",
}


@pytest.mark.slow
def test_the_wheel_takes_videos_to_predictions_in_an_empty_folder(site, footage, tmp_path) -> None:
    for kind, name in (("street", "bikes"), ("talk", "carphone_pristine")):
        (tmp_path / "my_videos" / kind).mkdir(parents=True)
        for number in range(3):
            target = tmp_path / "my_videos" / kind / f"{number}.mp4"
            exports.first_frames(footage[name], 6 + number, target)
    stems = (Stem("rgb", 4), Stem("flow", 4))
    blocks = (Block(1, (0, 1), 4), Block(2, (0, 1, 2), 4, 1, 2))
    graph = Architecture("small", stems + blocks, depth=26)
    save_architecture(graph, tmp_path / "graph.json")
    settings = [f"--gin_bindings={name} = {value}" for name, value in SMALL.items()]
    recipe = ["--gin_file=own_videos.gin", *settings]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    program = site / "bin" / "official-vision"
    started = Server(site)

    def command(*words: str, program: Path = program) -> str:
        process = Command(program, words, tmp_path, environment, started)
        stdout, stderr = process.communicate()
        assert process.returncode == 0, stderr
        return stdout

    where = tmp_path / "where.py"
    where.write_text("import official_vision; print(official_vision.__file__)")
    assert Path(command(program=where).strip()).is_relative_to(site)
    # From nothing, as a shell starts it.
    listed = subprocess.run(
        [sys.executable, str(program), "config", "list"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "studies" in listed.stdout
    assets = [
        path for path in (REPOSITORY / "official_vision").glob("**/assets/**/*") if path.is_file()
    ]
    assert assets
    assert all((site / path.relative_to(REPOSITORY)).is_file() for path in assets)
    assert "small: depth 26, width x 1" in command("inspect", *recipe)
    command("inspect", "--architecture=studies/table_1_without_objects.json")
    assert "train: 4 videos" in command("prepare", *recipe)
    assert "step 2" in command("train", *recipe)
    assert "mAP" in command("evaluate", "--model_dir=my_run", "--resamples=0")
    assert "SavedModel" in command(
        "export", "--model_dir=my_run", "--output=my_export", "--clips=1"
    )
    video = "my_videos/talk/0.mp4"
    command("predict", "--model=my_export", video, "--output_dir=predictions")
    prediction = json.loads((tmp_path / "predictions" / "0.json").read_text())["prediction"]
    assert {row["label"] for row in prediction["classes"]} == {"street", "talk"}
