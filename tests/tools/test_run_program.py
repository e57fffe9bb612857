"""tools/run_program.py as it is copied: programs of a small network, without TensorFlow and without this package."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from official_vision.architecture.cost.network_cost import estimate
from official_vision.architecture.formats import read_architecture
from official_vision.training.cost_setting import setting_of
from tests import commands
from tests.training import runs
from tools import accelerator, run_program

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS = {
    "ModelSpec.num_classes": 4,
    "ModelSpec.num_object_classes": 4,
    "ModelSpec.dropout_rate": 0.0,
    "DataSpec.frames": 4,
    "DataSpec.size": 16,
    "OptimizerSpec.learning_rate": 0.2,
}
# XLA compiles in a third of the time; what it makes of it is slower.
QUICK = {"XLA_FLAGS": "--xla_backend_optimization_level=0"}
# Ends with status 77 where more than jax and numpy was loaded.
ALONE = """
import runpy, sys
sys.argv = ["run_program.py", *sys.argv[1:]]
try:
    runpy.run_path("run_program.py", run_name="__main__")
except SystemExit as end:
    loaded = {"tensorflow", "tf_keras", "official_vision", "official", "torch"} & set(sys.modules)
    print("loaded:", sorted(loaded))
    sys.exit(77 if loaded or "jax" not in sys.modules else end.code)
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command writes of a small network: train and forward, float32 and bfloat16."""
    folder = tmp_path_factory.mktemp("programs")
    settings = {
        "ModelSpec.architecture": runs.save_small(folder, streams=("rgb", "objects")),
        **SETTINGS,
    }
    done = commands.run(
        "benchmark",
        "--what=program",
        "--batch_sizes=2",
        f"--output={folder / 'small'}",
        *(f"--gin_bindings={name} = {value!r}" for name, value in settings.items()),
    )
    assert done.returncode == 0, done.stderr
    assert "default_train_float32_2" in done.stdout
    return folder / "small"


def alone(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Runs a copy of the script in a folder without anything else."""
    shutil.copy(REPOSITORY / "tools" / "run_program.py", folder)
    return subprocess.run(
        [sys.executable, "-c", ALONE, *words, "--round_s=0.01"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | QUICK,
        capture_output=True,
        text=True,
        check=False,
    )


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.slow
def test_programs_agree_and_are_timed_without_tensorflow(programs: Path, tmp_path: Path) -> None:
    done = alone(tmp_path, str(programs), "--json=figures.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "loaded: []" in done.stdout
    rows = {row["name"]: row for row in read(tmp_path / "figures.json")["rows"]}
    kinds = [(what, dtype) for what in ("train", "forward") for dtype in ("float32", "bfloat16")]
    assert set(rows) == {f"default_{what}_{dtype}_2" for what, dtype in kinds}
    assert next(iter(rows)) == "default_train_float32_2"  # the check comes first
    for name, row in rows.items():
        signature = read(programs / f"{name}.json")
        expected, computed = (
            np.array(signature["check"]["expected"]),
            np.array(row["check"]["computed"]),
        )
        np.testing.assert_allclose(
            computed,
            expected,
            rtol=0,
            atol=np.abs(expected).max() * signature["check"]["tolerance"],
        )
        if "float32" in name:
            assert row["check"]["difference"] < 1e-4
        if "train" in name:
            assert expected.shape == ((10,) if "float32" in name else (3,))
            assert computed[-1] < computed[0]
            weights = [value for value in signature["results"] if value["feeds"] is not None]
            sizes = [4 * int(np.prod(value["shape"])) for value in weights]
            assert row["in_place_bytes"] >= sum(sizes)
        seconds = row["seconds"]
        assert 0 < seconds["least"] <= seconds["median"] <= seconds["most"]
        assert row["clips_per_second"] == pytest.approx(2 / seconds["median"])
        assert row["share_of_gemm"] == pytest.approx(row["flops_per_second"] / row["gemm_flops"])
        assert name in done.stdout


@pytest.mark.slow
def test_flops_are_those_of_the_cost_model(programs: Path) -> None:
    config = runs.config(programs, programs, "", frames=4, size=16)
    graph = read_architecture(programs.parent / "small.json")
    flops = estimate(graph, setting_of(config.model, config.train_data)).total.flops
    assert read(programs / "default_forward_float32_2.json")["flops"] == pytest.approx(2 * flops)
    assert read(programs / "default_train_float32_2.json")["flops"] == pytest.approx(6 * flops)


@pytest.mark.slow
def test_another_weight_is_seen(programs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(programs, folder)
    path = folder / "default_forward_float32_2.json"
    signature = read(path)
    with np.load(folder / signature["check"]["file"]) as stored:
        arrays = dict(stored)
    names = [value["name"] for value in signature["inputs"]]
    arrays[f"input_{names.index('head/classifier/bias')}"][0] += 0.1
    np.savez(folder / signature["check"]["file"], **arrays)
    content = (folder / signature["check"]["file"]).read_bytes()
    signature["check"]["sha256"] = hashlib.sha256(content).hexdigest()
    path.write_text(json.dumps(signature))
    done = alone(tmp_path, str(folder), "--only=forward_float32")
    assert done.returncode == 1
    assert "DIFFERS" in done.stdout


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (
            lambda folder: _shorten(folder / "default_train_float32_2.stablehlo"),
            "is not what was written",
        ),
        (
            lambda folder: _shorten(folder / "default_train_float32_2.npz"),
            "is not what was written",
        ),
        (
            lambda folder: _shorten(folder / "default_train_float32_2.json"),
            "A program must be whole.",
        ),
        (
            lambda folder: (folder / "default_train_float32_2.npz").unlink(),
            "(No such file or directory)",
        ),
        (lambda folder: (folder / "default_train_float32_2.json").write_text("{}"), "('format')"),
    ],
)
def test_damage_is_one_line(programs, tmp_path, damage, words, capsys) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(programs, folder)
    damage(folder)
    for main in (run_program.main, accelerator.main):
        assert main([str(folder)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        assert words in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Folders must have programs. Received: none."),
        (["nowhere"], "Folders must have programs. Received: nowhere."),
        (["--no_such_flag"], "Flags must be those of --help."),
    ],
)
def test_mistakes_are_one_line(arguments, words, capsys) -> None:
    assert run_program.main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {words}")


def test_without_jax_it_is_one_line(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "jax", None)
    assert run_program.main(["--probe"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: JAX must start.")


def case(what: str, precision: str, clips: int, **others: Any) -> dict[str, Any]:
    name = f"{what}_{precision}_{clips}"
    sizes = {"clips": clips, "frames": 16, "size": 224, "folder": "f"}
    return {"name": name, "pass": what, "precision": precision, **sizes, **others}


def test_the_most_important_comes_first() -> None:
    checks = [case("train", p, 2, check={}) for p in ("float32", "bfloat16")]
    large = [
        case(w, p, n) for w in ("forward", "train") for n in (32, 8) for p in ("tf32", "bfloat16")
    ]
    cases = accelerator.cases_of([*large, *checks], ["r2plus1d_18"])
    names = [each["name"] for each, _ in cases]
    assert names[:5] == [
        "train_float32_2",
        "train_bfloat16_8",
        "r2plus1d_18_train_bfloat16_8",
        "train_bfloat16_32",
        "r2plus1d_18_train_bfloat16_32",
    ]
    assert names[-1] == "train_bfloat16_2"
    assert len(names) == 2 + 2 * len(large)
    assert cases[2][1] == [
        "tools.run_torch",
        "r2plus1d_18",
        "--pass=train",
        "--precision=bfloat16",
        "--clips=8",
        "--frames=16",
        "--size=224",
    ]


@pytest.mark.slow
def test_what_does_not_end_leaves_the_others_their_time(
    programs: Path, tmp_path: Path, capsys
) -> None:
    path = tmp_path / "figures.json"
    words = [str(programs), f"--json={path}", "--torch=", "--case_limit_s=0.5"]
    assert accelerator.main(words) == 1
    rows = read(path)["rows"]
    assert [row["error"] for row in rows] == ["not done after 0 s"] * 4
    assert "default_train_float32_2" in capsys.readouterr().out
    assert accelerator.main([*words, "--limit_s=0"]) == 1
    assert {row["error"] for row in read(path)["rows"]} == {"left out after 0 s"}
