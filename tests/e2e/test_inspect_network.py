"""tools/inspect_network.py as a user runs it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from official_vision import config
from official_vision.architecture.formats import read_architecture, save_architecture
from official_vision.architecture.graph import Architecture, Block, Stem
from official_vision.architecture.zoo import ZOO
from tests import commands
from tests.commands import REPOSITORY


def inspect(*flags, **settings):
    return commands.run("inspect_network", *flags, **settings)


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
        fresh=True,
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


def test_the_authors_lists(tmp_path):
    """As in Model Garden's port: rows of six, nested strengths, two blocks of the last level."""
    structure = [
        [-1, 4],
        [-2, 1],
        [0, [0, 1], 32, 1, 1, 0],
        [3, [2], 64, 2, 2, 0],
        [3, [0, 3], 64, 1, 1, 0],
    ]
    strengths = [[], [], [[0.25, 0.75]], [], []]
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps({"structure": structure, "strengths": strengths, "depth": 26}))
    flags = ("--frames=8", "--size=64", f"--save={tmp_path}/ours.json")
    done = inspect(f"--architecture={path}", *flags)
    assert (done.returncode, done.stderr) == (0, "")
    assert "theirs: depth 26" in done.stdout
    assert "0 (0.25), 1 (0.75)" in done.stdout
    assert "mean of 3, 4" in done.stdout
    assert read_architecture(tmp_path / "ours.json") == read_architecture(path)
    structure[3][5] = 7
    path.write_text(json.dumps(structure))
    refused = inspect(f"--architecture={path}")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "Node 3" in refused.stderr


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


@pytest.fixture
def run_folder(tmp_path):
    """A run of two stems and two blocks whose checkpoint has only w and h, at known values."""
    import tensorflow as tf

    blocks = (Block(1, (0, 1), 4), Block(2, (0, 1, 2), 8, 1, 2))
    graph = Architecture("tiny", (Stem("rgb", 8), Stem("flow", 8), *blocks), 26, width_multiplier=2)
    strengths = {2: [0.9, 0.8], 3: [0.2, 0.1, 0.7]}
    peers = {
        2: [[0.25, 0.75], [0.5, 0.5]],
        3: [[0.8, 0.1, 0.1], [0.5, 0.25, 0.25], [0.2, 0.7, 0.1]],
    }
    layers = {}
    for index, values in strengths.items():
        gates = [tf.train.Checkpoint(peer_logits=tf.Variable(np.log(row))) for row in peers[index]]
        fusion = tf.train.Checkpoint(
            strength_logits=tf.Variable(np.log(values) - np.log1p(-np.array(values)))
        )
        node = tf.Module()
        node.fusion, node.gates = fusion, gates
        layers[str(index)] = node
    model = tf.Module()
    model.node_layers = layers
    folder = tmp_path / "run"
    config.load([], ["ModelSpec.num_classes = 7", "validation/DataSpec.frames = 8"]).save(folder)
    save_architecture(graph, folder / "architecture.json")
    step = tf.Variable(40, dtype=tf.int64)
    tf.train.Checkpoint(model=model, global_step=step).save(str(folder / "ckpt"))
    return folder


@pytest.mark.slow
def test_a_training_folder(tmp_path, run_folder):
    done = inspect(
        f"--model_dir={run_folder}",
        "--checkpoint=latest",
        f"--json={tmp_path}/report.json",
        f"--draw={tmp_path}/net.svg",
        f"--derive={tmp_path}/derived.json",
        fresh=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "tiny: depth 26, width x 2, gate peer, 8 frames of 224 x 224, 7 classes" in done.stdout
    assert "0 (0.20), 1 (0.10), 2 (0.70)" in done.stdout
    assert "ckpt-1, step 40: strengths 0.10 to 0.90, on average 0.54" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    connections = {
        (connection["source"], connection["node"]): connection
        for connection in report["connections"]
    }
    assert connections[1, 3]["peers"]["entropy_bits"] == pytest.approx(1.5)
    assert connections[2, 3]["peers"]["likeliest"] == 1
    assert connections[2, 3]["peers"]["probability"] == pytest.approx(0.7)
    assert connections[0, 2]["strength"] == pytest.approx(0.9)
    assert "<svg" in (tmp_path / "net.svg").read_text()
    # At the default threshold of 0.3 block 3 keeps its input 2 alone, whose peer is 1.
    derived = read_architecture(tmp_path / "derived.json")
    first, second = derived.nodes[2:]
    assert (first.inputs, first.peers) == ((0, 1), (1, 0))
    assert first.strengths == pytest.approx((0.9, 0.8))
    assert (second.inputs, second.peers) == ((2,), (1,))
    assert (derived.depth, derived.width_multiplier) == (26, 2)
    assert "4 of 4 nodes, 3 of 5 connections" in done.stdout
    again = inspect(f"--architecture={tmp_path}/derived.json", "--frames=8")
    assert "2 <- 1" in again.stdout


@pytest.mark.slow
def test_mistakes_about_a_training_folder_are_one_line(tmp_path, run_folder):
    run = f"--model_dir={run_folder}"
    for flags, words in (
        (["--derive=a.json"], "Add --model_dir=DIR"),
        (["--checkpoint=latest"], "Add --model_dir=DIR"),
        ([run, "--architecture=assemblenet_50"], "--model_dir and --architecture"),
        ([run, "--gin_bindings=ModelSpec.depth = 26"], "--model_dir and --gin_bindings"),
        ([run, "--threshold=0.5"], "Add --derive=PATH"),
        ([run, "--derive=a.txt"], "ends in .json"),
        ([f"--model_dir={tmp_path}/none"], "config.json"),
        ([run, "--checkpoint=best"], "best, latest or a path prefix"),
        ([run, "--checkpoint=latest", f"--derive={tmp_path}/a.json", "--threshold=2"], "[0, 1]"),
    ):
        done = inspect(*flags)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert words in line
    assert not (tmp_path / "a.json").exists()


def test_help_suffices():
    done = inspect("--help")
    names = "gin_file gin_bindings architecture model_dir checkpoint frames size draw json derive"
    for flag in (*names.split(), "threshold"):
        assert f"--{flag}" in done.stdout


def test_the_report_needs_no_tensorflow():
    code = (
        "import sys\n"
        "import official_vision.commands.inspect, official_vision.training.cost_setting\n"
        "print(sorted({'tensorflow', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
