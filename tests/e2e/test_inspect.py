"""tools/inspect.py as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

from official_vision.architecture.formats import read_architecture
from official_vision.architecture.zoo import ZOO

REPOSITORY = Path(__file__).resolve().parents[2]


def inspect(*flags):
    command = [sys.executable, "tools/inspect.py", *flags]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_everything_at_once(tmp_path):
    done = inspect(
        "--gin_file=gin_configs/models/assemblenet_plus_plus_50.gin",
        "--gin_bindings=ModelSpec.depth = 26",
        "--gin_bindings=ModelSpec.num_classes = 101",
        "--frames=8",
        "--size=112",
        f"--json={tmp_path}/report.json",
        f"--save={tmp_path}/net.json",
        f"--draw={tmp_path}/net.svg",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "depth 26, width x 1, gate peer, 8 frames of 112 x 112, 101 classes" in done.stdout
    assert "8 x 28 x 28 x 128" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert f"total: {report['total']['parameters']:,} parameters" in done.stdout
    saved = read_architecture(tmp_path / "net.json")
    assert saved.nodes == ZOO["assemblenet_plus_plus_50"]().nodes
    assert saved.depth == 26
    assert "<svg" in (tmp_path / "net.svg").read_text()
    again = inspect(f"--architecture={tmp_path}/net.json", "--frames=8", "--size=112")
    assert "8 x 28 x 28 x 128" in again.stdout


def test_a_mistake_is_one_line(tmp_path):
    (tmp_path / "net.json").write_text("{}")
    for flag, words in (
        ("--architecture=asemblenet_50", "Did you mean 'assemblenet_50'?"),
        (f"--architecture={tmp_path}/net.json", "net.json"),
        ("--size=0", "size must be"),
        (f"--draw={tmp_path}/net.pdf", ".svg or .png"),
    ):
        done = inspect(flag)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert words in line


def test_help_suffices():
    done = inspect("--help")
    for flag in ("gin_file", "gin_bindings", "architecture", "frames", "size", "draw", "json"):
        assert f"--{flag}" in done.stdout


def test_the_report_needs_no_tensorflow():
    code = (
        "import sys\n"
        "from official_vision import config\n"
        "from official_vision.architecture import cost, derive, draw, formats, overhead, report\n"
        "print(sorted({'tensorflow', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_other_commands_find_pythons_own_inspect():
    """A command's folder comes first on the module path, and holds a file of that name."""
    code = (
        "import sys\n"
        "sys.path.insert(0, 'tools')\n"
        "import inspect\n"
        "from inspect import signature\n"
        "print(sys.path[0], inspect.__file__, signature(len))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    first, file, parameters = done.stdout.split(maxsplit=2)
    assert first == "tools"
    assert not file.startswith(str(REPOSITORY / "tools"))
    assert parameters.strip() == "(obj, /)"
